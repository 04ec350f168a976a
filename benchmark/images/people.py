"""Patients' ids that may not be those of one person each, and sexes and ages that cannot be one person's."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

OLDEST = 120  # years
SPREAD = 15  # years between the images of one patient, where no dates are known; longer follow-ups are rare
ROUNDING = 1.5  # years by which a change of age may differ from that of the date: ages are whole years
SEXES = {"m": "male", "f": "female", "w": "female"}  # by the first letter, also of German tables

_STAND_IN = re.compile(
    r"(anon\w*|pseudo\w*|removed|deleted|redacted|masked|hidden|de-?identified|patient|subject|dummy|default|x+)"
)
_NUMBER = re.compile(r"0+|9{3,}|-\d+")  # a number that may stand for an unknown patient


@dataclass(frozen=True)
class Oddity:
    """A kind of doubtful patients.

    Attributes:
        kind: in words, after the number of them.
        names: ids, those that belong together in one text.
    """

    kind: str
    names: tuple[str, ...]

    @property
    def count(self) -> str:
        """The kind and the number, without any id."""
        return f"{len(self.names)} {self.kind}"

    def __str__(self) -> str:
        return f"{self.count}, the first is {self.names[0]}"


def odd_ids(patient: Iterable[str]) -> list[Oddity]:
    """Return ids that may be of several people, and ids that may be of the same person.

    Args:
        patient: id of every image.
    """
    images = Counter(patient)
    typical = float(np.median(list(images.values()))) if images else 0.0
    stand_ins = tuple(
        f"'{name}' ({n} images)"
        for name, n in images.items()
        if n > 1 and _stands_in(name, n, typical, images.total())
    )
    alike = defaultdict(list)
    for name in images:
        alike[_canonical(name)].append(name)
    same = tuple(" and ".join(f"'{n}'" for n in names) for names in alike.values() if len(names) > 1)
    kinds = {
        "patient ids that may stand for unknown patients": stand_ins,
        "groups of patient ids that differ in case, space, leading zeros or a decimal point": same,
    }
    return [Oddity(kind, names) for kind, names in kinds.items() if names]


def odd_sexes(patient: Sequence[str], sex: Sequence[str | None]) -> list[Oddity]:
    """Return the patients with two sexes; blank ones do not count."""
    sexes = defaultdict(set)
    for name, text in zip(patient, sex, strict=True):
        if text:
            sexes[name].add(SEXES.get(text[:1].lower(), text.lower()))
    names = tuple(f"'{name}'" for name, stated in sexes.items() if len(stated) > 1)
    return [Oddity("patients with two sexes", names)] if names else []


def odd_ages(patient: Sequence[str], age: np.ndarray) -> list[Oddity]:
    """Return the patients with an impossible age, or with ages further apart than ``SPREAD``.

    Args:
        age: (N,) years, NaN where unknown.
    """
    ages: dict[str, list[float]] = defaultdict(list)
    for name, years in zip(patient, age.tolist(), strict=True):
        if not np.isnan(years):
            ages[name].append(years)
    kinds = {
        f"patients with an age over {OLDEST} years": lambda own: max(own) > OLDEST,
        "patients with a negative age": lambda own: min(own) < 0,
        f"patients with ages more than {SPREAD} years apart": lambda own: max(own) - min(own) > SPREAD,
    }
    result = {kind: tuple(f"'{n}'" for n, own in ages.items() if odd(own)) for kind, odd in kinds.items()}
    return [Oddity(kind, names) for kind, names in result.items() if names]


def odd_dates(patient: Sequence[str], age: Sequence[float], year: Sequence[float]) -> list[Oddity]:
    """Return the patients whose ages contradict the dates of their studies.

    Args:
        age: years, NaN where unknown.
        year: date of the study as a fraction of years, NaN where unknown.
    """
    studies: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for name, at, years in zip(patient, year, age, strict=True):
        if not np.isnan(at + years):
            studies[name].append((at, years))
    younger, other = [], []
    for name, own in studies.items():
        changes = [(b - a, d - c) for (a, c), (b, d) in pairwise(sorted(own))]
        if any(aged < -1 or (aged < 0 and passed > 1) for passed, aged in changes):
            younger.append(f"'{name}'")
        elif any(abs(aged - passed) > ROUNDING for passed, aged in changes):
            other.append(f"'{name}'")
    kinds = {
        "patients older at an earlier study than at a later one": younger,
        "patients whose age changes more or less than the dates of their studies": other,
    }
    return [Oddity(kind, tuple(names)) for kind, names in kinds.items() if names]


def _stands_in(name: str, count: int, typical: float, total: int) -> bool:
    """Return whether an id may stand for several unknown patients."""
    word = name.strip(" _.#").lower()
    if _STAND_IN.fullmatch(word) or (total >= 10 and count > total / 2):
        return True
    return bool(_NUMBER.fullmatch(word)) and count > 2 * typical


def _canonical(name: str) -> str:
    """Return an id without the differences that spreadsheets and typing make."""
    text = re.sub(r"\s+", "", unicodedata.normalize("NFKC", name).casefold())
    return re.sub(r"(?<![\d.])0+(?=\d)", "", re.sub(r"^(\d+)\.0+$", r"\1", text))
