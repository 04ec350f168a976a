"""One thing that was looked at, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from benchmark.errors import BenchmarkError

MOST_FAULTS = 20  # of one check that are told
MOST_TEXT = 200  # characters of a value in a message


@dataclass(frozen=True)
class Check:
    """A named check of a bundle.

    Attributes:
        name: what was looked at.
        passed: None where it could not be checked; that is never counted as passed.
        detail: in words.
        field: of the bundle, where one is at fault.
    """

    name: str
    passed: bool | None
    detail: str
    field: str = ""

    def record(self) -> dict[str, Any]:
        """As JSON values."""
        return {"name": self.name, "passed": self.passed, "detail": self.detail, "field": self.field}

    def line(self) -> str:
        """For the terminal, which no character of a bundle may steer."""
        mark = {True: "ok", False: "FAILED", None: "not checked"}[self.passed]
        about = f"{self.field}: " if self.field else ""
        text = f"{self.name}: {about}{self.detail}"
        return f"{mark:<12}{''.join(c if c.isprintable() else repr(c)[1:-1] for c in text)}"


Fault = tuple[str, str]  # field, and what is wrong with it


def judged(name: str, faults: Iterable[Fault], good: str) -> list[Check]:
    """A failed check per fault, or one that passed."""
    found = list(faults)
    told = [Check(name, False, detail, field) for field, detail in found[:MOST_FAULTS]]
    if len(found) > MOST_FAULTS:
        told.append(Check(name, False, f"{len(found) - MOST_FAULTS} more faults of this kind"))
    return told or [Check(name, True, good)]


def refused(name: str, error: BenchmarkError) -> Check:
    """A failed check, of an error that names where it lies."""
    return Check(name, False, " ".join(f"{error.problem} {error.remedy}".split()), error.where)


def unlike(said: Mapping[str, Any], true: Mapping[str, Any], prefix: str = "") -> list[Fault]:
    """A fault for every key whose value is not the true one; mappings are gone into."""
    faults: list[Fault] = []
    for key in sorted(said.keys() | true.keys(), key=str):
        where = f"{prefix}{key}"
        if key not in said or key not in true:
            faults.append((where, "is missing" if key not in said else "is not there in truth"))
        elif isinstance(said[key], Mapping) and isinstance(true[key], Mapping):
            faults += unlike(said[key], true[key], f"{where}.")
        elif not same(said[key], true[key]):
            faults.append((where, f"is {shown(said[key])}, expected {shown(true[key])}"))
    return faults


def same(one: Any, other: Any) -> bool:
    """Equal, and of one type where it matters: 1 is not True."""
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def shown(value: Any) -> str:
    """A value in a message, cut to what a line holds."""
    text = repr(value)
    return text if len(text) <= MOST_TEXT else f"{text[:MOST_TEXT]}…"


# Fields that nothing here can check: only the author's word, or trainings done again, speak for them.
BELIEVED = {
    "costs and machine": r"(costs|hardware|software)(\..*)?|device|precision",
    "measures of all images": r"measures\..*|quality_filter.*|samples\.hash|classifier_cards\.\d+\.parameters.*",
    "what the row says of itself": r"row\.(title|description|citation|license|version)",
    "parameters of a generator": r"row\.params.*",
    "what a submission says of itself": r"submission_type|submission\.(?!name).*",
    "why a row failed": r"error",
    "notes after those of the data": r"data\.notes\..*",
}


def claims(submitted: bool) -> Check:
    """What was taken on trust, in words; what a row of the suite says of itself was compared."""
    own = ("what the row says of itself", "what a submission says of itself")
    trusted = [name for name in BELIEVED if submitted or name not in own]
    return Check("claims", None, f"believed, since nothing else tells them: {'; '.join(trusted)}")
