"""A finished run as the tables see it, and what tells it from the other runs of its task."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmark.bundles.schema import Manifest
from benchmark.utils.formatting import plural

BASELINE = "real_only"
PLAIN = (BASELINE, "oversample", "class_weights")  # rows without images, in the order of the tables
IMAGES = {
    "phantom": "Phantom data: a program that knows the truth has drawn the images; they show no patients.",
    "real": "Real images.",
}


@dataclass(frozen=True, eq=False)
class Run:
    """One leaderboard.

    Attributes:
        manifests: by row; the fields that say the protocol are the same in all.
        comparison: of ``benchmark.comparison.compare.compare``.
        breakdown: of ``benchmark.comparison.breakdown.breakdown``.
        variant: the choices that tell this run from the others, by field; empty for a run alone.
    """

    manifests: Mapping[str, Manifest]
    comparison: Mapping[str, Any]
    breakdown: Mapping[str, Any]
    variant: Mapping[str, str]

    @property
    def head(self) -> Manifest:
        """The manifest whose shared fields stand for all rows."""
        return self.manifests[min(self.manifests)]

    @property
    def alpha(self) -> float:
        """Level of the tests."""
        return float(self.comparison["settings"]["alpha"])

    @property
    def metrics(self) -> Sequence[Mapping[str, Any]]:
        """The leaderboard's metrics, the primary one first."""
        found: Sequence[Mapping[str, Any]] = self.comparison["settings"]["metrics"]
        return found

    @property
    def classes(self) -> Sequence[str]:
        """The classes, in the task's order."""
        found: Sequence[str] = self.comparison["settings"]["classes"]
        return found

    @property
    def primary(self) -> Mapping[str, Any]:
        """The figures by row on the test split at the primary bracket."""
        found: Mapping[str, Any] = self.figures(self.head.primary_bracket)
        return found

    @property
    def label(self) -> str:
        """The variant in a few words."""
        return ", ".join(f"{k}={v}" for k, v in self.variant.items())

    def figures(self, bracket: int) -> Mapping[str, Any]:
        """The figures by row on the test split at a bracket."""
        found: Mapping[str, Any] = self.comparison["figures"]["test"][str(bracket)]
        return found

    def rows(self) -> list[str]:
        """The finished rows: the baseline, other rows without images, generators, controls with images."""
        return sorted(self.primary, key=lambda n: (self.place(n), n))

    def place(self, row: str) -> tuple[int, int]:
        """Where a row stands in a table."""
        if row in PLAIN:
            return (0, PLAIN.index(row))
        return (1 if self.manifests[row].row.role == "generator" else 2, 0)

    def sentence(self) -> str:
        """On what the figures are: the kind of images, the task, its size."""
        head, test = self.head, self.comparison["splits"]["test"]
        variant = f" ({self.label})" if self.variant else ""
        size = f"{plural(test['images'], 'test image')} of {plural(test['patients'], 'patient')}"
        trainings = plural(len(test["runs"]), "training")
        return (
            f"{IMAGES[head.data_kind]} Task {head.task}, profile {head.profile}{variant}, source "
            f"{head.source}: {size}, {trainings} per row."
        )


def bracket_title(bracket: int) -> str:
    """``+250``, or words for no added images."""
    return f"+{bracket}" if bracket else "none added"


def with_images(rows: Iterable[str]) -> list[str]:
    """The rows that add images."""
    return [r for r in rows if r not in PLAIN]


def metric_form(metric: Mapping[str, Any]) -> Any:
    """How a metric's figures are shown."""
    return "percent" if metric["percent"] else "decimal"
