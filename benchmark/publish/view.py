"""What a leaderboard shows, in the order in which it shows it; the pages only lay it out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmark.errors import SubmissionError
from benchmark.publish.bundle import Bundle
from benchmark.publish.findings import findings, primary
from benchmark.publish.manifest import Manifest

COPIES = "duplicate_real"  # copies by definition: shown as gated, ranked all the same
KINDS = {
    "phantom": "Phantom results. A program that knows the truth has drawn the images; they show no patients. "
    "Nothing on this page says how well a generator does on clinical images.",
    "real": "Results on real images. They hold for this source, these classes and this number of patients.",
}


@dataclass(frozen=True, eq=False)
class Line:
    """One row of the table.

    Attributes:
        manifest: what the row's bundle says.
        rank: tie group, or None with a reason in ``unranked``.
        figures: at the primary bracket on ``test``; None for a failed row.
        grid: PNG of samples, or None.
    """

    manifest: Manifest
    rank: int | None
    tied: int
    unranked: str | None
    figures: Mapping[str, Any] | None
    grid: bytes | None

    @property
    def name(self) -> str:
        """The row's name."""
        return self.manifest.row.name

    @property
    def gated(self) -> bool:
        """Whether the memorization gate holds the row back."""
        gate = self.manifest.memorization
        return gate is not None and gate.gated and self.name != COPIES


@dataclass(frozen=True, eq=False)
class View:
    """Everything that the pages show.

    Attributes:
        head: the manifest whose shared fields stand for all rows.
        lines: ranked rows by rank and mean, then unranked, then failed ones.
        measures: names of the figures over images, in the order of the columns.
    """

    head: Manifest
    lines: Sequence[Line]
    comparison: Mapping[str, Any]
    findings: Sequence[Mapping[str, str]]
    measures: Sequence[str]
    notes: Sequence[str]

    @property
    def bracket(self) -> int:
        """The primary bracket."""
        return self.head.primary_bracket

    @property
    def title(self) -> str:
        """The page's title."""
        return f"{self.head.task} · {self.head.profile}"

    @property
    def kind(self) -> str:
        """In plain words, what kind of images these are."""
        return KINDS[self.head.data_kind]

    def figures(self, split: str, bracket: int) -> Mapping[str, Any]:
        """The figures by row on a split at a bracket; empty where there are none."""
        found: Mapping[str, Any] = self.comparison["figures"].get(split, {}).get(str(bracket), {})
        return found

    def environments(self) -> list[dict[str, Any]]:
        """Software, hardware, device and precision, with the rows that ran on them."""
        found: list[dict[str, Any]] = []
        for line in sorted(self.lines, key=lambda li: li.name):
            m = line.manifest
            own = {
                "software": m.software,
                "hardware": m.hardware,
                "device": m.device,
                "precision": m.precision,
            }
            same = next((e for e in found if {k: e[k] for k in own} == own), None)
            if same is None:
                found.append({**own, "rows": [line.name]})
            else:
                same["rows"].append(line.name)
        return found


def build(bundles: Sequence[Bundle], comparison: Mapping[str, Any]) -> View:
    """Order the rows and gather what is shown.

    Raises:
        SubmissionError: the comparison is not of these bundles.
    """
    figures = primary(comparison)
    names = {b.manifest.row.name for b in bundles}
    known = set(figures) | set(comparison["failed"])
    if names != known:
        raise SubmissionError(
            "leaderboard",
            f"the comparison is of {sorted(known)}, the bundles are {sorted(names)}",
            "Compare again.",
        )
    lines = sorted((_line(b, comparison, figures) for b in bundles), key=_order)
    head = min((b.manifest for b in bundles), key=lambda m: m.row.name)
    measures = sorted({k for b in bundles for k in b.manifest.measures}, key=_measure_order)
    notes = sorted({n for b in bundles for n in b.manifest.data.notes}) + list(comparison["notes"])
    roles = {b.manifest.row.name: b.manifest.row.role for b in bundles}
    return View(head, lines, comparison, findings(comparison, roles), measures, notes)


def _line(bundle: Bundle, comparison: Mapping[str, Any], figures: Mapping[str, Any]) -> Line:
    name = bundle.manifest.row.name
    ranked = comparison["ranking"]["rows"].get(name)
    return Line(
        manifest=bundle.manifest,
        rank=ranked["rank"] if ranked else None,
        tied=len(ranked["tied_with"]) if ranked else 0,
        unranked=comparison["ranking"]["unranked"].get(name),
        figures=figures.get(name),
        grid=bundle.grid,
    )


def _order(line: Line) -> tuple[float, float, str]:
    mean = line.figures["balanced_accuracy"]["estimate"] if line.figures else 0.0
    if line.rank is None:
        return (1e9 if line.figures else 2e9, -mean, line.name)
    return (line.rank, -mean, line.name)


def _measure_order(name: str) -> tuple[int, str]:
    known = ("fid", "kid", "ms")
    kind = name.partition("_")[0]
    return (known.index(kind) if kind in known else len(known), name)
