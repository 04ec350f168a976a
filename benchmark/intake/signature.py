"""Check OpenSSH signatures without OpenSSH; sign by ``ssh-keygen``, which asks agents and passphrases.

Only ed25519 keys count. A signature has a namespace, so that one made for another purpose does not count.
Source: OpenSSH, PROTOCOL.sshsig, "Armored format", "Blob format" and "Signed Data"; ssh-keygen(1),
"ALLOWED SIGNERS".
"""

import base64
import binascii
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from benchmark.errors import SubmissionError
from benchmark.intake.untrusted import validate_file
from benchmark.utils.files import write_bytes

NAMESPACE = "synththorax-bundle"  # bundle.json, signed by who made it
RECORD_NAMESPACE = "synththorax-record"  # verified.json, signed by a maintainer
SUFFIX = ".sig"
MAX_BYTES = 10_000  # of a signature
MAX_KEYS_BYTES = 1_000_000  # of a list of keys
TIMEOUT = 60  # seconds; a key with a passphrase asks its owner
MAGIC, VERSION = b"SSHSIG", 1
ARMOR = ("-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----")
ED25519 = b"ssh-ed25519"
HASHES = {b"sha512": hashlib.sha512, b"sha256": hashlib.sha256}
MAKE_KEY = "Make a key with: ssh-keygen -t ed25519"
_LINE = re.compile(
    r'(?P<owner>[\w.@+,-]{1,100})\s+(?:namespaces="(?P<namespaces>[\w.@*?,-]+)"\s+)?'
    r"ssh-ed25519\s+(?P<key>[A-Za-z0-9+/]+=*)(?:\s.*)?",
    re.ASCII,
)


@dataclass(frozen=True)
class KnownKey:
    """A line of a list of keys: the owner, the public key, and the namespaces that it may sign."""

    owner: str
    key: bytes
    namespaces: tuple[str, ...] = ("*",)


@dataclass(frozen=True)
class Signature:
    """The result of checking a file's signature.

    Attributes:
        good: whether ``key`` signed this file; None without a signature.
        detail: for people.
        key: fingerprint, such as ``SHA256:...``, or empty.
        principal: the key's owner by the list of known keys, or None.
    """

    good: bool | None
    detail: str
    key: str = ""
    principal: str | None = None


def sign(file: Path, key: Path, namespace: str = NAMESPACE) -> Path:
    """Sign a file with an SSH key; return the signature beside it, ``<file>.sig``.

    Args:
        key: a private key, or the public one of a key that the SSH agent holds.
    Raises:
        SubmissionError: no ``ssh-keygen``, no such key, one that is not ed25519, or ``ssh-keygen`` refused.
    """
    tool = shutil.which("ssh-keygen")
    if tool is None:
        raise SubmissionError("--sign", "needs ssh-keygen, which is not installed", "Install OpenSSH.")
    if not key.is_file():
        raise SubmissionError(f"--sign {key}", "is not a file", MAKE_KEY)
    command = [tool, "-Y", "sign", "-f", str(key), "-n", namespace]
    try:
        with file.open("rb") as handle:
            result = subprocess.run(command, stdin=handle, capture_output=True, timeout=TIMEOUT, check=False)
    except (subprocess.TimeoutExpired, OSError) as error:
        raise SubmissionError(f"--sign {key}", f"ssh-keygen: {error}", "Try again.") from None
    if result.returncode:
        lines = [line for line in result.stderr.decode("utf-8", "replace").splitlines() if line.strip()]
        problem = f"ssh-keygen: {(lines or ['no answer'])[-1][:200]}"
        raise SubmissionError(f"--sign {key}", problem, "Give your SSH key.")
    try:
        _verified(result.stdout, file.read_bytes(), namespace)
    except ValueError as error:
        raise SubmissionError(f"--sign {key}", str(error), MAKE_KEY) from None
    target = file.with_name(file.name + SUFFIX)
    write_bytes(target, result.stdout)
    return target


def check(
    file: Path, signature: Path, known: Sequence[KnownKey] | None = None, namespace: str = NAMESPACE
) -> Signature:
    """Check whether a signature belongs to a file, by which key, and whose key that is.

    Args:
        file: the signed file.
        signature: may be missing.
        known: keys with their owners; None where nobody is known.
    Raises:
        SubmissionError: the signature is a link or too large.
    """
    if not os.path.lexists(signature):
        return Signature(None, "unsigned: its author is unknown")
    validate_file(signature, MAX_BYTES)
    try:
        key = _verified(signature.read_bytes(), file.read_bytes(), namespace)
    except ValueError as error:
        return Signature(False, f"the signature does not match this {file.name}: {error}")
    owners = [k.owner for k in known or () if k.key == key and _may_sign(k, namespace)]
    principal = owners[0] if owners else None
    detail = f"signed by key {_fingerprint(key)} of {principal or 'an unknown author'}"
    return Signature(True, detail, _fingerprint(key), principal)


def read_keys(path: Path) -> tuple[KnownKey, ...]:
    """Read a list of known keys, in the format of ssh-keygen(1), "ALLOWED SIGNERS".

    Options other than ``namespaces`` are refused: a page must not depend on the date, so a key is withdrawn
    by the removal of its line.

    Raises:
        SubmissionError: not a file, or a line that is not one of an ed25519 key.
    """
    validate_file(path, MAX_KEYS_BYTES)
    keys = []
    for number, line in enumerate(path.read_bytes().decode("utf-8", "replace").splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip())
        try:
            if match is None:
                raise ValueError("is not the line of an ed25519 key")
            key = base64.b64decode(match["key"], validate=True)
            _ed25519(key, 32)
        except ValueError as error:
            remedy = 'Write NAME namespaces="..." ssh-ed25519 AAAA..., without other options.'
            raise SubmissionError(f"{path}: line {number}", str(error), remedy) from None
        keys.append(KnownKey(match["owner"], key, tuple((match["namespaces"] or "*").split(","))))
    return tuple(keys)


def _may_sign(key: KnownKey, namespace: str) -> bool:
    return any(fnmatchcase(namespace, pattern) for pattern in key.namespaces)


def _fingerprint(key: bytes) -> str:
    """Return the fingerprint of a key as ``ssh-keygen -l`` prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def _verified(armored: bytes, message: bytes, namespace: str) -> bytes:
    """Return the key that signed a message for a namespace.

    Raises:
        ValueError: malformed, of another namespace or kind of key, or not of this message.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    blob = _unarmored(armored)
    key, own_namespace, reserved, hash_name, signature = _strings(blob, 5)
    if own_namespace != namespace.encode():
        raise ValueError(f"namespace is {own_namespace!r}, expected {namespace.encode()!r}")
    if hash_name not in HASHES:
        raise ValueError(f"hash is {hash_name!r}, expected sha512 or sha256")
    public, own = _ed25519(key, 32), _ed25519(signature, 64)
    parts = (own_namespace, reserved, hash_name, HASHES[hash_name](message).digest())
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(own, MAGIC + b"".join(map(packed, parts)))
    except InvalidSignature:
        raise ValueError("it is of other content") from None
    return key


def _unarmored(armored: bytes) -> bytes:
    """Return what follows magic and version in an armored signature."""
    lines = armored.decode("ascii", "replace").strip().splitlines()
    if len(lines) < 3 or (lines[0], lines[-1]) != ARMOR:
        raise ValueError(f"expected the lines '{ARMOR[0]}' and '{ARMOR[1]}'")
    try:
        blob = base64.b64decode("".join(lines[1:-1]), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("expected base64 between the two lines") from None
    if blob[:10] != MAGIC + VERSION.to_bytes(4):
        raise ValueError(f"expected {MAGIC.decode()} version {VERSION}")
    return blob[10:]


def _ed25519(blob: bytes, length: int) -> bytes:
    """Return the bytes of an ed25519 key or signature."""
    kind, *rest = _pieces(blob)
    if kind != ED25519:
        raise ValueError(f"it is of a key of kind {kind[:40]!r}; only ssh-ed25519 is read")
    if len(rest) != 1 or len(rest[0]) != length:
        raise ValueError(f"expected {length} bytes of ssh-ed25519")
    return rest[0]


def _strings(blob: bytes, count: int) -> list[bytes]:
    """Split a blob into exactly ``count`` length-prefixed strings."""
    strings = list(_pieces(blob))
    if len(strings) != count:
        raise ValueError(f"has {len(strings)} parts, expected {count}")
    return strings


def _pieces(blob: bytes) -> Iterator[bytes]:
    """Yield the length-prefixed strings of a blob, at least one."""
    while True:
        end = 4 + int.from_bytes(blob[:4])
        if not 4 <= end <= len(blob):
            raise ValueError("is truncated")
        yield blob[4:end]
        blob = blob[end:]
        if not blob:
            return


def packed(text: bytes) -> bytes:
    """Return a string with its length before it, as SSH writes it."""
    return len(text).to_bytes(4) + text
