"""How far a row's claims were checked: read from what lies beside its ``bundle.json``."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from benchmark.bundles.io import MANIFEST, SIGNATURE, VERIFIED
from benchmark.errors import SubmissionError, TaskError
from benchmark.intake.archive import MAX_FILE_BYTES
from benchmark.intake.signature import NAMESPACE
from benchmark.tasks.schema import parse
from benchmark.utils.formatting import listed, plural

BESIDE = (VERIFIED, SIGNATURE)  # what may lie beside a bundle's own files
MAGIC, VERSION = b"SSHSIG", 1  # of OpenSSH's PROTOCOL.sshsig
ARMOR = ("-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----")
AGAIN = "Take the row out, or verify it again: python -m benchmark verify FOLDER --deep --record."


class _Record(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


class Check(_Record):
    """One check of a verification; ``passed`` is None where it could not be made."""

    name: str = Field(max_length=200)
    passed: bool | None


class Signer(_Record):
    """Whose signature the verification found good; ``principal`` is None where the key is not known."""

    key: str = Field(max_length=200)
    principal: str | None = Field(None, max_length=200)


class Verification(_Record):
    """What is read of ``verified.json``, schema 1."""

    schema_: Literal[1] = Field(alias="schema")
    bundle_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    suite_version: str = Field(max_length=64)
    date: str = Field(pattern=r"^\d{4}-\d{2}-\d{2}", max_length=64)
    seeds: tuple[int, ...] = ()
    checks: tuple[Check, ...] = Field(min_length=1)
    plausible: bool | None = None
    signer: Signer | None = None


@dataclass(frozen=True)
class Standing:
    """How far a row's claims were checked.

    Attributes:
        status: ``verified`` when a verification of this very ``bundle.json`` is on record, ``changed`` when
            the record is of another one, else ``self-reported``.
        signature: whether a signature lies beside the bundle. It is read here, not checked: ``verify`` does
            that.
        signer: fingerprint of the signing key as ``ssh-keygen -l`` prints it, or "".
        detail: a sentence for people.
    """

    status: Literal["verified", "self-reported", "changed"]
    signature: Literal["signed", "unsigned"]
    signer: str
    detail: str


def read_standing(folder: Path) -> Standing:
    """The standing of the bundle in a folder.

    Raises:
        SubmissionError: ``verified.json`` or the signature is not what it should be, or the verification
            did not pass.
    """
    signer = _signer(folder / SIGNATURE)
    signature: Literal["signed", "unsigned"] = "signed" if signer else "unsigned"
    record = _verification(folder / VERIFIED)
    if record is None:
        return Standing(
            "self-reported", signature, signer, "Reported by its author; nobody trained it again."
        )
    if record.bundle_sha256 != hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest():
        detail = f"Verified on {record.date[:10]}, but {MANIFEST} was changed since."
        return Standing("changed", signature, signer, detail)
    _passed(record, folder / VERIFIED)
    return Standing("verified", signature, signer, _said(record, signer))


def fingerprint(armored: str) -> str:
    """Of the key in an OpenSSH signature: ``SHA256:`` and the unpadded base64 of the key blob's hash.

    Raises:
        ValueError: no such signature, or one of another namespace.
    Source: OpenSSH, PROTOCOL.sshsig, section "Armored format" and "Blob format".
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
    """The first of the length-prefixed strings of a blob, and what follows it."""
    end = 4 + int.from_bytes(blob[:4])
    if not 4 < end <= len(blob):
        raise ValueError("is cut short")
    return blob[4:end], blob[end:]


def _signer(path: Path) -> str:
    content = _content(path)
    if content is None:
        return ""
    try:
        return fingerprint(content.decode("ascii"))
    except ValueError as error:
        remedy = f"Sign again: ssh-keygen -Y sign -n {NAMESPACE} -f KEY {MANIFEST}."
        raise SubmissionError(str(path), f"is no signature of a bundle: {error}", remedy) from None


def _verification(path: Path) -> Verification | None:
    content = _content(path)
    if content is None:
        return None
    try:
        record: Verification = parse(Verification, json.loads(content), str(path))
    except TaskError as error:
        raise SubmissionError(error.where, error.problem, AGAIN) from None
    except (ValueError, RecursionError) as error:
        raise SubmissionError(str(path), f"is not JSON: {error}", AGAIN) from None
    return record


def _passed(record: Verification, path: Path) -> None:
    failed = [check.name for check in record.checks if check.passed is False]
    if failed:
        raise SubmissionError(f"{path}: checks", f"'{failed[0]}' did not pass", AGAIN)
    if not record.plausible or not record.seeds:
        why = (
            "nothing was trained again" if record.plausible is None else "the reported runs are not plausible"
        )
        raise SubmissionError(f"{path}: plausible", why, AGAIN)


def _said(record: Verification, signer: str) -> str:
    passed = sum(check.passed is True for check in record.checks)
    unknown = [check.name for check in record.checks if check.passed is None]
    when = f"Verified on {record.date[:10]} with version {record.suite_version}"
    parts = [f"{when}: {plural(passed, 'check')} passed"]
    noun = "seed" if len(record.seeds) == 1 else "seeds"
    parts.append(f"trained again with {noun} {listed([str(s) for s in record.seeds])}")
    if record.signer is not None and record.signer.key == signer:
        parts.append(f"signature good, of {record.signer.principal or 'a key that is not known'}")
    if unknown:
        parts.append(f"could not be checked: {listed(unknown)}")
    return "; ".join(parts) + "."


def _content(path: Path) -> bytes | None:
    """Of a small plain file, or None where there is none."""
    if not path.exists() and not path.is_symlink():
        return None
    if path.is_symlink() or not path.is_file():
        raise SubmissionError(str(path), "is not a plain file", "A bundle holds its own files.")
    limit = MAX_FILE_BYTES[path.name]
    if path.stat().st_size > limit:
        raise SubmissionError(str(path), f"has {path.stat().st_size} bytes, at most {limit} are read")
    return path.read_bytes()
