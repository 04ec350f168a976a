"""Parts of a board: its rows, their environments, its test splits and subgroups."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmark.bundles.declared import Declared, declared
from benchmark.bundles.schema import Manifest
from benchmark.bundles.sealed import DOES_NOT_HOLD, SealedResult
from benchmark.bundles.standing import Standing
from benchmark.comparison.controls import DERIVED
from benchmark.comparison.ranking import SAW_TEST
from benchmark.comparison.row_records import RowFigures, Subgroup
from benchmark.reporting.formats import settings
from benchmark.reporting.leaderboards.selection import Selection
from benchmark.utils.formatting import plural, points

CLASSICAL = ("lan_augmentation",)  # generators of the suite that change real images by fixed rules


@dataclass(frozen=True, eq=False)
class BoardRow:
    """One row of a board."""

    manifest: Manifest  # the content of the row's ``bundle.json``
    rank: int | None  # tie group among all rows, or None with a reason in ``unranked``
    place: int | None  # rank among the candidates; None for a reference, too
    tied: int  # number of other candidates with the same place
    unranked: str | None
    figures: RowFigures | None  # at the primary bracket on ``test``; None for a failed row
    # the primary metric by field and value; empty for a failed row
    subgroups: Mapping[str, Mapping[str, Subgroup]]
    grid: bytes | None  # PNG of samples, or None
    standing: Standing | None  # None on the page of a run
    sha256: str  # of ``bundle.json``; "" on the page of a run
    selection: Selection | None = None  # None for a row without images, or a failed one

    @property
    def name(self) -> str:
        return self.manifest.row.name

    @property
    def role(self) -> str:
        """``generator`` or ``control``."""
        return self.manifest.row.role

    @property
    def kind(self) -> str:
        """``generator``, ``augmentation`` (a candidate that learns nothing) or ``reference`` (a control)."""
        if self.role == "control":
            return "reference"
        return "augmentation" if self.name in CLASSICAL else "generator"

    @property
    def origin(self) -> str:
        """Origin of the row: a fact only where the project signed it."""
        if self.standing is None:
            return ""
        if self.standing.project:
            return f"the project, signed by {self.standing.owner}"
        claimed = "the project" if self.manifest.submission_type == "suite" else "its author"
        return f"{claimed}, as the bundle says; the project did not sign it"

    @property
    def signature(self) -> str:
        """The key that signed the bundle, and its owner where that is known."""
        if self.standing is None or not self.standing.signer:
            return "unsigned"
        return f"signed, key {self.standing.signer} of {self.standing.owner or 'an unknown author'}"

    @property
    def copies(self) -> bool:
        """True if the memorization gate catches the row's images, even those of a control that is ranked."""
        gate = self.manifest.memorization
        return gate is not None and gate.gated

    @property
    def gated(self) -> bool:
        """True if the memorization gate refuses the row a rank."""
        return self.copies and self.name not in DERIVED

    @property
    def struck(self) -> str:
        """The reason, in a word or two, why the row's name is struck out; empty for other rows."""
        if self.gated:
            return "gated"
        return "test access" if self.unranked in SAW_TEST.values() else ""

    @property
    def sealed(self) -> SealedResult | None:
        """The result on a sealed test, if the row was verified on one."""
        return self.standing.sealed if self.standing else None

    @property
    def unsealed(self) -> str:
        """``does not hold on the sealed test`` of a row whose gain does not carry over, or empty."""
        return DOES_NOT_HOLD if self.sealed and self.sealed.holds is False else ""

    @property
    def declared(self) -> Declared:
        """The declarations of the authors."""
        return declared(self.manifest)

    @property
    def luck(self) -> str:
        """The attempts behind the row and what luck gains by them; empty for a single attempt."""
        own = self.selection
        if own is None or own.attempts < 2 or own.luck is None:
            return ""
        return f"best of {own.attempts}: {points(own.luck)} by luck"

    @property
    def absence(self) -> str:
        """Reason of missing figures, in two words."""
        return "not run" if self.manifest.not_run else "failed"

    @property
    def seconds(self) -> float | None:
        """Seconds to fit and sample; None for a row without synthetic images."""
        costs = self.manifest.costs
        parts = [v for v in (costs.fit_seconds, costs.sample_seconds) if v is not None]
        return sum(parts) if parts else None


@dataclass(frozen=True)
class Environment:
    """Software, hardware, device and precision, with the rows that ran on them."""

    software: Mapping[str, Any]
    hardware: Mapping[str, Any]
    device: str
    precision: str
    rows: tuple[str, ...] = ()

    @property
    def machine(self) -> str:
        """Device, GPU, processor and cores, in a few words."""
        cores = self.hardware.get("cores")
        parts = [settings(self.hardware[k]) for k in ("gpu", "processor") if self.hardware.get(k)]
        if cores:  # a list where stages differ
            parts.append(plural(cores, "core") if isinstance(cores, int) else f"{settings(cores)} cores")
        return ", ".join([self.device, *parts])


@dataclass(frozen=True)
class SplitSection:
    """A further test split: its name, and the title and the sentence of its section."""

    name: str
    title: str
    sentence: str


@dataclass(frozen=True)
class Group:
    """A subgroup of test images, the same for every row; ``too_small`` is a reason, or None."""

    field: str
    value: str
    images: int
    patients: int
    too_small: str | None
