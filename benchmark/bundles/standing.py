"""Standing of a row: its verification record and its signatures, which lie beside ``bundle.json``.

Nothing counts that no maintainer signed: a record without a maintainer's signature is its author's word, and
so is the claim that the project ran a row.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from benchmark.bundles.io import MANIFEST, RECORD_SIGNATURE, SIGNATURE, VERIFIED, check_size
from benchmark.bundles.schema import Part, Sha256
from benchmark.bundles.sealed import SealedResult
from benchmark.errors import SubmissionError, TaskError
from benchmark.intake.archive import MAX_FILE_BYTES
from benchmark.intake.signature import (
    NAMESPACE,
    RECORD_NAMESPACE,
    KnownKey,
    Signature,
    check,
    read_keys,
)
from benchmark.intake.untrusted import read_json
from benchmark.tasks.parsing import parse
from benchmark.utils.formatting import listed, plural
from benchmark.utils.hashing import sha256_file

SIGNERS, MAINTAINERS = "allowed_signers", "maintainers"  # lists of keys beside the pages, edited by hand
ATTACHED = (VERIFIED, SIGNATURE, RECORD_SIGNATURE)  # files that may lie beside a bundle
SCHEMA = 2  # of a record
VERIFY_AGAIN = (
    "Remove the row, or verify it again: python -m benchmark verify FOLDER --deep --record --sign KEY."
)


@dataclass(frozen=True)
class Keyring:
    """The keys of known authors and of maintainers."""

    authors: tuple[KnownKey, ...] = ()
    maintainers: tuple[KnownKey, ...] = ()


def read_keyring(root: Path) -> Keyring:
    """Read the keys beside the pages under ``root``; a list that is absent is empty.

    Raises:
        SubmissionError: a list is malformed; names its line.
    """
    lists = (root / SIGNERS, root / MAINTAINERS)
    return Keyring(*(read_keys(path) if path.is_file() else () for path in lists))


class Check(Part, extra="ignore"):
    """One check of a verification; ``passed`` is None where it could not run."""

    name: str = Field(max_length=200)
    passed: bool | None


class Verification(Part, extra="ignore"):
    """The fields of ``verified.json``, schema 2, that a board reads."""

    schema_: Literal[2] = Field(alias="schema")
    bundle_sha256: Sha256
    suite_version: str = Field(max_length=64)
    date: str = Field(pattern=r"^\d{4}-\d{2}-\d{2}", max_length=64)
    seeds: tuple[int, ...] = ()
    checks: tuple[Check, ...] = Field(min_length=1)
    plausible: bool | None = None
    sealed: SealedResult | None = None
    detectable: float | None = Field(None, ge=0)


@dataclass(frozen=True)
class Standing:
    """Standing of a row.

    Attributes:
        status: ``verified`` with a record of this very ``bundle.json`` that a maintainer signed, ``changed``
            with one of another ``bundle.json``, else ``self-reported``.
        signature: whether a key signed ``bundle.json``.
        signer: fingerprint of that key as ``ssh-keygen -l`` prints it, or "".
        owner: of that key by the lists of known keys, or "".
        project: whether that key is a maintainer's, so that the project made the bundle.
        detail: a sentence for readers.
        sealed: the result on a season's sealed test; only of a verified row.
    """

    status: Literal["verified", "self-reported", "changed"]
    signature: Literal["signed", "unsigned"]
    signer: str
    detail: str
    sealed: SealedResult | None = None
    owner: str = ""
    project: bool = False


def read_standing(folder: Path, keys: Keyring) -> Standing:
    """Read the standing of the bundle in a folder.

    Raises:
        SubmissionError: a signature does not match its file, or a maintainer signed a record that is
            malformed or of a verification that failed.
    """
    project = _checked(folder / MANIFEST, folder / SIGNATURE, keys.maintainers, NAMESPACE)
    author = _checked(folder / MANIFEST, folder / SIGNATURE, keys.authors, NAMESPACE)
    status, detail, record = _status(folder, keys)
    return Standing(
        status=status,
        signature="signed" if author.good else "unsigned",
        signer=author.key,
        owner=project.principal or author.principal or "",
        project=project.principal is not None,
        detail=detail,
        sealed=record.sealed if record else None,
    )


def _status(
    folder: Path, keys: Keyring
) -> tuple[Literal["verified", "self-reported", "changed"], str, Verification | None]:
    """Return the standing by the record of verification, a sentence about it, and the record that counts."""
    path = folder / VERIFIED
    if not _exists(path):
        if _exists(folder / RECORD_SIGNATURE):
            raise SubmissionError(
                str(folder / RECORD_SIGNATURE), f"is there without {VERIFIED}", "Remove it."
            )
        return "self-reported", "Reported by its author; no training was repeated.", None
    check_size(path)
    signed = _checked(path, folder / RECORD_SIGNATURE, keys.maintainers, RECORD_NAMESPACE)
    if signed.principal is None:
        who = "by a key that is not a maintainer's" if signed.good else "by nobody"
        return "self-reported", f"Reported by its author; the {VERIFIED} beside it is signed {who}.", None
    record = _verification(path)
    if record.bundle_sha256 != sha256_file(folder / MANIFEST):
        return "changed", f"Verified on {record.date[:10]}, but {MANIFEST} was changed since.", None
    _require_passed(record, path)
    return "verified", _summary(record, signed.principal), record


def _checked(file: Path, signature: Path, known: tuple[KnownKey, ...], namespace: str) -> Signature:
    """Check a signature; one that does not match its file is refused."""
    result = check(file, signature, known, namespace)
    if result.good is False:
        remedy = f"Remove it, or sign again: ssh-keygen -Y sign -n {namespace} -f KEY {file.name}."
        raise SubmissionError(str(signature), result.detail, remedy)
    return result


def _verification(path: Path) -> Verification:
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


def _summary(record: Verification, maintainer: str) -> str:
    """Sentence with the date, the checks, the repeated seeds and the maintainer of a verification."""
    passed = sum(check.passed is True for check in record.checks)
    unchecked = [check.name for check in record.checks if check.passed is None]
    seeds = f"{'seed' if len(record.seeds) == 1 else 'seeds'} {listed([str(s) for s in record.seeds])}"
    when = f"Verified on {record.date[:10]} with version {record.suite_version}, signed by {maintainer}"
    parts = [f"{when}: {plural(passed, 'check')} passed", f"training repeated with {seeds}"]
    if record.detectable is not None:
        parts.append(f"an inflation of {100 * record.detectable:.1f} points would be seen in 80 %")
    if unchecked:
        parts.append(f"could not be checked: {listed(unchecked)}")
    return "; ".join(parts) + "."
