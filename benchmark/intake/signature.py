"""Sign bundles with SSH keys and check the signatures, both by ``ssh-keygen``.

The signed file is ``bundle.json``, which holds the hash of every other file of the bundle.
Source: ssh-keygen(1), options -Y; the format is OpenSSH's PROTOCOL.sshsig.
"""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmark.errors import SubmissionError
from benchmark.intake.untrusted import validate_file
from benchmark.utils.files import write_bytes

NAMESPACE = "synththorax-bundle"
SUFFIX = ".sig"
MAX_BYTES = 10_000  # of a signature
TIMEOUT = 60  # seconds; a key on a token, or with a passphrase, asks its owner
_KEY = re.compile(r"with (\S+) key (SHA256:[A-Za-z0-9+/]+)")


@dataclass(frozen=True)
class Signature:
    """The result of checking a file's signature.

    Attributes:
        good: whether ``key`` signed this file; None without a signature or without ``ssh-keygen``.
        detail: for people.
        key: fingerprint, such as ``SHA256:...``, or empty.
        principal: the key's owner by ``allowed_signers``, or None.
    """

    good: bool | None
    detail: str
    key: str = ""
    principal: str | None = None


def sign(file: Path, key: Path) -> Path:
    """Sign a file with an SSH key; return the signature beside it, ``<file>.sig``.

    Args:
        file: ``bundle.json``.
        key: a private key, or the public one of a key that the SSH agent holds.
    Raises:
        SubmissionError: no ``ssh-keygen``, no such key, or ``ssh-keygen`` refused to sign.
    """
    tool = shutil.which("ssh-keygen")
    if tool is None:
        raise SubmissionError("--sign", "needs ssh-keygen, which is not installed", "Install OpenSSH.")
    if not key.is_file():
        raise SubmissionError(f"--sign {key}", "is not a file", "Make a key with: ssh-keygen -t ed25519")
    result = _run([tool, "-Y", "sign", "-f", str(key), "-n", NAMESPACE], file)
    if result.returncode or not result.stdout.startswith(b"-----BEGIN SSH SIGNATURE-----"):
        raise SubmissionError(f"--sign {key}", f"ssh-keygen: {_last_line(result)}", "Give your SSH key.")
    target = file.with_name(file.name + SUFFIX)
    write_bytes(target, result.stdout)
    return target


def check(file: Path, signature: Path, allowed_signers: Path | None = None) -> Signature:
    """Check whether a signature belongs to a file, by which key, and whose key that is.

    Args:
        file: the signed file.
        signature: may be missing.
        allowed_signers: known authors and their keys, in the format of ssh-keygen(1).
    Raises:
        SubmissionError: ``allowed_signers`` is not a file, or the signature is a link or too large.
    """
    if allowed_signers is not None and not allowed_signers.is_file():
        raise SubmissionError(f"--allowed-signers {allowed_signers}", "is not a file", "Leave it out.")
    if not os.path.lexists(signature):
        return Signature(None, "unsigned: its author is unknown")
    validate_file(signature, MAX_BYTES)
    tool = shutil.which("ssh-keygen")
    if tool is None:
        return Signature(None, "signed, but cannot be checked: ssh-keygen is not installed")
    result = _run([tool, "-Y", "check-novalidate", "-n", NAMESPACE, "-s", str(signature)], file)
    key = _KEY.search(_output(result))
    if result.returncode or key is None:
        return Signature(False, f"the signature does not match this {file.name}: {_last_line(result)}")
    principal = None if allowed_signers is None else _principal(tool, file, signature, allowed_signers)
    detail = f"signed by key {key.group(2)} of {principal or 'an unknown author'}"
    return Signature(True, detail, key.group(2), principal)


def _principal(tool: str, file: Path, signature: Path, allowed_signers: Path) -> str | None:
    """Return the key's owner by the list of known authors, if that key may sign bundles."""
    given = ["-s", str(signature), "-f", str(allowed_signers)]
    result = _run([tool, "-Y", "find-principals", *given], file)
    for name in result.stdout.decode("utf-8", "replace").splitlines() if not result.returncode else []:
        if not _run([tool, "-Y", "verify", *given, "-I", name, "-n", NAMESPACE], file).returncode:
            return name
    return None


def _run(command: list[str], file: Path) -> subprocess.CompletedProcess[bytes]:
    """Call ``ssh-keygen`` with the file as its input, without a shell and within ``TIMEOUT``."""
    try:
        with file.open("rb") as handle:
            return subprocess.run(command, stdin=handle, capture_output=True, timeout=TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        raise SubmissionError(
            "ssh-keygen", f"did not answer within {TIMEOUT} seconds", "Try again."
        ) from None
    except OSError as error:
        raise SubmissionError(str(file), f"{error.strerror}", "Give a readable file.") from None


def _output(result: subprocess.CompletedProcess[bytes]) -> str:
    return (result.stdout + b"\n" + result.stderr).decode("utf-8", "replace")


def _last_line(result: subprocess.CompletedProcess[bytes]) -> str:
    lines = [line.strip() for line in _output(result).splitlines() if line.strip()]
    return (lines or ["no answer"])[-1][:200]
