"""Standing of a row: what its verification record and its signature say, read from beside ``bundle.json``."""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from benchmark.bundles.io import MANIFEST, SIGNATURE, VERIFIED, check_size
from benchmark.bundles.schema import Part, Sha256
from benchmark.bundles.sealed import SealedResult
from benchmark.errors import SubmissionError, TaskError
from benchmark.intake.archive import MAX_FILE_BYTES
from benchmark.intake.signature import NAMESPACE
from benchmark.intake.untrusted import read_json
from benchmark.tasks.parsing import parse
from benchmark.utils.formatting import listed, plural
from benchmark.utils.hashing import sha256_file

ATTACHED = (VERIFIED, SIGNATURE)  # files that may lie beside a bundle
MAGIC, VERSION = b"SSHSIG", 1  # OpenSSH, PROTOCOL.sshsig
ARMOR = ("-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----")
VERIFY_AGAIN = "Remove the row, or verify it again: python -m benchmark verify FOLDER --deep --record."


class Check(Part, extra="ignore"):
    """One check of a verification; ``passed`` is None where it could not run."""

    name: str = Field(max_length=200)
    passed: bool | None


class Signer(Part, extra="ignore"):
    """The key of a valid signature; ``principal`` is None where the key is not known."""

    key: str = Field(max_length=200)
    principal: str | None = Field(None, max_length=200)


class Verification(Part, extra="ignore"):
    """The fields of ``verified.json``, schema 1, that a board reads."""

    schema_: Literal[1] = Field(alias="schema")
    bundle_sha256: Sha256
    suite_version: str = Field(max_length=64)
    date: str = Field(pattern=r"^\d{4}-\d{2}-\d{2}", max_length=64)
    seeds: tuple[int, ...] = ()
    checks: tuple[Check, ...] = Field(min_length=1)
    plausible: bool | None = None
    signer: Signer | None = None
    sealed: SealedResult | None = None


@dataclass(frozen=True)
class Standing:
    """Standing of a row.

    Attributes:
        status: ``verified`` with a verification record of this very ``bundle.json``, ``changed`` with a
            record of another one, else ``self-reported``.
        signature: whether a signature lies beside the bundle. It is read here, not checked; ``verify``
            checks it.
        signer: fingerprint of the signing key as ``ssh-keygen -l`` prints it, or "".
        detail: a sentence for readers.
        sealed: the result on a season's sealed test; only of a verified row.
    """

    status: Literal["verified", "self-reported", "changed"]
    signature: Literal["signed", "unsigned"]
    signer: str
    detail: str
    sealed: SealedResult | None = None


def read_standing(folder: Path) -> Standing:
    """Read the standing of the bundle in a folder.

    Raises:
        SubmissionError: ``verified.json`` or the signature is malformed, or the verification failed.
    """
    signer = _signer(folder / SIGNATURE)
    signature: Literal["signed", "unsigned"] = "signed" if signer else "unsigned"
    record = _verification(folder / VERIFIED)
    if record is None:
        detail = "Reported by its author; no training was repeated."
        return Standing("self-reported", signature, signer, detail)
    if record.bundle_sha256 != sha256_file(folder / MANIFEST):
        detail = f"Verified on {record.date[:10]}, but {MANIFEST} was changed since."
        return Standing("changed", signature, signer, detail)
    _require_passed(record, folder / VERIFIED)
    return Standing("verified", signature, signer, _summary(record, signer), record.sealed)


def fingerprint(armored: str) -> str:
    """Fingerprint of the key in an OpenSSH signature: ``SHA256:`` and the unpadded base64 of its hash.

    Raises:
        ValueError: not an OpenSSH signature, or one of another namespace.
    Source: OpenSSH, PROTOCOL.sshsig, sections "Armored format" and "Blob format".
    """
    lines = armored.strip().splitlines()
    if len(lines) < 3 or (lines[0], lines[-1]) != ARMOR:
        raise ValueError(f"expected the lines '{ARMOR[0]}' and '{ARMOR[1]}'")
    try:
        blob = base64.b64decode("".join(lines[1:-1]), validate=True)
    except binascii.Error:
        raise ValueError("expected base64 between the two lines") from None
    if blob[:10] != MAGIC + VERSION.to_bytes(4):
        raise ValueError(f"expected {MAGIC.decode()} version {VERSION}")
    key, rest = _string(blob[10:])
    namespace, _ = _string(rest)
    if namespace != NAMESPACE.encode():
        raise ValueError(f"namespace is {namespace!r}, expected {NAMESPACE.encode()!r}")
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def _string(blob: bytes) -> tuple[bytes, bytes]:
    """Split a blob after its first length-prefixed string."""
    end = 4 + int.from_bytes(blob[:4])
    if not 4 < end <= len(blob):
        raise ValueError("is truncated")
    return blob[4:end], blob[end:]


def _signer(path: Path) -> str:
    """Fingerprint of the key that signed, or "" without a signature."""
    if not _exists(path):
        return ""
    check_size(path)
    try:
        return fingerprint(path.read_bytes().decode("ascii"))
    except ValueError as error:
        remedy = f"Sign again: ssh-keygen -Y sign -n {NAMESPACE} -f KEY {MANIFEST}."
        raise SubmissionError(str(path), f"is not a signature of a bundle: {error}", remedy) from None


def _verification(path: Path) -> Verification | None:
    if not _exists(path):
        return None
    try:
        record: Verification = parse(Verification, read_json(path, MAX_FILE_BYTES[VERIFIED]), str(path))
    except (TaskError, SubmissionError) as error:
        raise SubmissionError(error.where, error.problem, VERIFY_AGAIN) from None
    return record


def _exists(path: Path) -> bool:
    """True for a file or a link, even a broken one."""
    return path.exists() or path.is_symlink()


def _require_passed(record: Verification, path: Path) -> None:
    failed = [check.name for check in record.checks if check.passed is False]
    if failed:
        raise SubmissionError(f"{path}: checks", f"'{failed[0]}' did not pass", VERIFY_AGAIN)
    if not record.plausible or not record.seeds:
        no_training = record.plausible is None
        reason = "no training was repeated" if no_training else "the reported runs are not plausible"
        raise SubmissionError(f"{path}: plausible", reason, VERIFY_AGAIN)


def _summary(record: Verification, signer: str) -> str:
    """Sentence with the date, the checks, the repeated seeds and the signer of a verification."""
    passed = sum(check.passed is True for check in record.checks)
    unchecked = [check.name for check in record.checks if check.passed is None]
    seeds = f"{'seed' if len(record.seeds) == 1 else 'seeds'} {listed([str(s) for s in record.seeds])}"
    when = f"Verified on {record.date[:10]} with version {record.suite_version}"
    parts = [f"{when}: {plural(passed, 'check')} passed", f"training repeated with {seeds}"]
    if record.signer is not None and record.signer.key == signer:
        parts.append(f"signature valid, by {record.signer.principal or 'an unknown key'}")
    if unchecked:
        parts.append(f"could not be checked: {listed(unchecked)}")
    return "; ".join(parts) + "."
