"""One verification check and its outcome: passed, failed, or not checked."""

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from benchmark.errors import BenchmarkError

PASSED, FAILED, NOT_CHECKED = True, False, None
MAX_FAULTS = 20  # of one check that are listed
MAX_TEXT = 200  # characters of a value in a message
# Fields that verification cannot check: only the author's word or retraining supports them.
UNVERIFIABLE = {
    "costs and machine": r"(costs|hardware|software|provenance)(\..*)?|device|precision",
    "measures of all images": r"(measures\.|quality_filter).*|samples\.hash",
    "the error of the nearness, up to 1.5 times that of the shown images": r"memorization\.nearness\.error",
    "the shown images, if they are no copies": r"files\.samples/.*",
    "sizes of the networks": r"classifier_cards\.\d+\.parameters.*",
    "the row's card": r"row\.(title|description|citation|license|version|image_size|fit_unit|assets.*)",
    "a generator's parameters": r"row\.params.*|attempts",
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
        mark = {PASSED: "ok", FAILED: "FAILED", NOT_CHECKED: "not checked"}[self.passed]
        field = f"{self.field}: " if self.field else ""
        text = f"{self.name}: {field}{self.detail}"
        return f"{mark:<12}{''.join(c if c.isprintable() else repr(c)[1:-1] for c in text)}"


Fault = tuple[str, str]  # field, and its problem


@contextmanager
def errors_as_check(checks: list[Check], name: str, outcome: bool | None = FAILED) -> Iterator[None]:
    """End a block at an error of the suite, and add a check with that error and ``outcome``."""
    try:
        yield
    except BenchmarkError as error:
        checks.append(Check(name, outcome, " ".join(f"{error.problem} {error.remedy}".split()), error.where))


def checks_of(name: str, faults: Iterable[Fault], success: str) -> list[Check]:
    """Return a failed check per fault, or one that passed with ``success`` as its detail."""
    every = list(faults)
    checks = [Check(name, FAILED, detail, field) for field, detail in every[:MAX_FAULTS]]
    if len(every) > MAX_FAULTS:
        checks.append(Check(name, FAILED, f"{len(every) - MAX_FAULTS} more faults of this kind"))
    return checks or [Check(name, PASSED, success)]


def differences(
    reported: Mapping[str, Any], expected: Mapping[str, Any], prefix: str = "", tolerance: float = 0.0
) -> list[Fault]:
    """Return a fault for every key with another value than expected, also in nested mappings."""
    faults: list[Fault] = []
    for key in sorted(reported.keys() | expected.keys(), key=str):
        where = f"{prefix}{key}"
        if key not in reported or key not in expected:
            faults.append((where, "is missing" if key not in reported else "is not expected"))
        elif isinstance(reported[key], Mapping) and isinstance(expected[key], Mapping):
            faults += differences(reported[key], expected[key], f"{where}.", tolerance)
        else:
            faults += difference(where, reported[key], expected[key], tolerance)
    return faults


def difference(field: str, reported: Any, expected: Any, tolerance: float = 0.0) -> list[Fault]:
    """Return a fault if two values differ, floats by more than a relative ``tolerance``; 1 is not True."""
    if _same(reported, expected, tolerance):
        return []
    return [(field, f"is {shortened(reported)}, expected {shortened(expected)}")]


def _same(one: Any, other: Any, tolerance: float) -> bool:
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(_same, one, other, [tolerance] * len(one)))
    if tolerance and isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=tolerance)
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def shortened(value: Any) -> str:
    """Return a value's text, cut to ``MAX_TEXT``."""
    text = repr(value)
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}…"


def unverified_claims(submitted: bool) -> Check:
    """Return the check that lists the claims taken on trust."""
    names = [name for name in UNVERIFIABLE if submitted or name not in SUBMITTED_ONLY]
    return Check("unverified claims", NOT_CHECKED, f"taken on trust: {'; '.join(names)}")
