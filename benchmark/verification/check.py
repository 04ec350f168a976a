"""One verification check and its outcome: passed, failed, or not checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from benchmark.errors import BenchmarkError

MAX_FAULTS = 20  # of one check that are listed
MAX_TEXT = 200  # characters of a value in a message
# Fields that verification cannot check: only the author's word or retraining supports them.
UNVERIFIABLE = {
    "costs and machine": r"(costs|hardware|software)(\..*)?|device|precision",
    "measures of all images": r"(measures\.|quality_filter).*|samples\.hash",
    "sizes of the networks": r"classifier_cards\.\d+\.parameters.*",
    "the row's card": r"row\.(title|description|citation|license|version)",
    "a generator's parameters": r"row\.params.*",
    "the submission's card": r"submission_type|submission\.(?!name).*",
    "the reason why a row failed": r"error",
    "notes after those of the data": r"data\.notes\..*",
}
SUBMITTED_ONLY = ("the row's card", "the submission's card")  # of a row of the suite both are compared


@dataclass(frozen=True)
class Check:
    """A named check of a bundle.

    Attributes:
        name: the checked property.
        passed: None where it could not be checked, which never counts as passed.
        detail: for people.
        field: of the bundle, where one is at fault.
    """

    name: str
    passed: bool | None
    detail: str
    field: str = ""

    def line(self) -> str:
        """Return a line for the terminal; control characters of a bundle are escaped."""
        mark = {True: "ok", False: "FAILED", None: "not checked"}[self.passed]
        field = f"{self.field}: " if self.field else ""
        text = f"{self.name}: {field}{self.detail}"
        return f"{mark:<12}{''.join(c if c.isprintable() else repr(c)[1:-1] for c in text)}"


Fault = tuple[str, str]  # field, and its problem


def passed(name: str, detail: str) -> Check:
    """Return a check that passed."""
    return Check(name, True, detail)


def failed(name: str, detail: str, field: str = "") -> Check:
    """Return a check that failed."""
    return Check(name, False, detail, field)


def not_checked(name: str, detail: str, field: str = "") -> Check:
    """Return a check that could not be made."""
    return Check(name, None, detail, field)


def raised(name: str, error: BenchmarkError) -> Check:
    """Return a check that failed with an error."""
    return failed(name, " ".join(f"{error.problem} {error.remedy}".split()), error.where)


def checks_of(name: str, faults: Iterable[Fault], success: str) -> list[Check]:
    """Return a failed check per fault, or one that passed with ``success`` as its detail."""
    found = list(faults)
    checks = [failed(name, detail, field) for field, detail in found[:MAX_FAULTS]]
    if len(found) > MAX_FAULTS:
        checks.append(failed(name, f"{len(found) - MAX_FAULTS} more faults of this kind"))
    return checks or [passed(name, success)]


def differences(reported: Mapping[str, Any], expected: Mapping[str, Any], prefix: str = "") -> list[Fault]:
    """Return a fault for every key with another value than expected, also in nested mappings."""
    faults: list[Fault] = []
    for key in sorted(reported.keys() | expected.keys(), key=str):
        where = f"{prefix}{key}"
        if key not in reported or key not in expected:
            faults.append((where, "is missing" if key not in reported else "is not expected"))
        elif isinstance(reported[key], Mapping) and isinstance(expected[key], Mapping):
            faults += differences(reported[key], expected[key], f"{where}.")
        else:
            faults += difference(where, reported[key], expected[key])
    return faults


def difference(field: str, reported: Any, expected: Any) -> list[Fault]:
    """Return a fault if two values differ; 1 and True differ."""
    if reported == expected and isinstance(reported, bool) == isinstance(expected, bool):
        return []
    return [(field, f"is {shortened(reported)}, expected {shortened(expected)}")]


def shortened(value: Any) -> str:
    """Return a value's text, cut to ``MAX_TEXT``."""
    text = repr(value)
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}…"


def unverified_claims(submitted: bool) -> Check:
    """Return the check that lists the claims taken on trust."""
    names = [name for name in UNVERIFIABLE if submitted or name not in SUBMITTED_ONLY]
    return not_checked("unverified claims", f"taken on trust: {'; '.join(names)}")
