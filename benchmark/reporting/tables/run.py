"""A finished run as the tables read it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from benchmark.bundles.schema import Manifest
from benchmark.comparison.breakdown_records import Breakdown
from benchmark.comparison.figures import BASELINE
from benchmark.comparison.records import Comparison, MetricCard, QualityCard
from benchmark.comparison.row_records import RowFigures
from benchmark.reporting.tables.record import Form, Key
from benchmark.utils.formatting import plural

PLAIN = (BASELINE, "oversample", "class_weights")  # rows without images, in the order of the tables
IMAGES = {
    "phantom": "Phantom data: a program that knows the truth has drawn the images; they show no patients.",
    "real": "Real images.",
}


@dataclass(frozen=True, eq=False)
class Run:
    """One leaderboard."""

    manifests: Mapping[str, Manifest]  # by row; all share the fields of the protocol
    comparison: Comparison
    breakdown: Breakdown
    # the choices that distinguish this run from the others, by field; empty for a single run
    variant: Mapping[str, str]
    training: Mapping[str, bytes] = field(default_factory=dict)  # PNG of a fit's previews, by row

    @property
    def head(self) -> Manifest:
        """The manifest whose shared fields stand for all rows."""
        return self.manifests[min(self.manifests)]

    @property
    def alpha(self) -> float:
        """Level of the tests."""
        return self.comparison.settings.alpha

    @property
    def metrics(self) -> tuple[MetricCard, ...]:
        """The leaderboard's metrics, the primary one first."""
        return self.comparison.settings.metrics

    @property
    def classes(self) -> tuple[str, ...]:
        return self.comparison.settings.classes

    @property
    def primary(self) -> Mapping[str, RowFigures]:
        """The figures by row on the test split at the primary bracket."""
        return self.comparison.primary

    @property
    def label(self) -> str:
        """The variant in a few words."""
        return ", ".join(f"{k}={v}" for k, v in self.variant.items())

    def rows(self) -> list[str]:
        """The finished rows: the baseline, other rows without images, generators, controls with images."""
        return sorted(self.primary, key=lambda n: (self.place(n), n))

    def place(self, row: str) -> tuple[int, int]:
        """Return the sort key of a row in a table."""
        if row in PLAIN:
            return (0, PLAIN.index(row))
        return (1 if self.manifests[row].row.role == "generator" else 2, 0)

    def bold(self, family: str) -> str:
        """Return the part of a caption that explains bold figures."""
        settings = self.comparison.settings
        return (
            "Bold: differs from real_only by the paired interval over patients and trainings, p below "
            f"{settings.alpha} after {settings.correction} over {family}."
        )

    def sentence(self) -> str:
        """Describe the data: the kind of images, the task and its size."""
        head, test = self.head, self.comparison.splits["test"]
        variant = f" ({self.label})" if self.variant else ""
        size = f"{plural(test.images, 'test image')} of {plural(test.patients, 'patient')}"
        fits = max(len(m.fit_seeds) for m in self.manifests.values())
        of_fits = f", with each of {fits} fits of a generator; intervals cover fits too" if fits > 1 else ""
        return (
            f"{IMAGES[head.data_kind]} Task {head.task}, profile {head.profile}{variant}, source "
            f"{head.source}: {size}, {plural(len(test.runs), 'training')} per row{of_fits}."
        )


def classifier_level(runs: Iterable[Run], text: str) -> Key:
    """Return ``text`` as a level of the rows' keys where the runs have several classifiers, else no level."""
    return (text,) if len({c for run in runs for c in run.head.classifiers}) > 1 else ()


def bracket_title(bracket: int) -> str:
    """Return ``+250``, or words for no added images."""
    return f"+{bracket}" if bracket else "none added"


def with_images(rows: Iterable[str]) -> list[str]:
    """Return the rows that add images."""
    return [r for r in rows if r not in PLAIN]


def metric_form(metric: MetricCard | QualityCard) -> Form:
    """Return the format of a metric's figures."""
    return "percent" if metric.percent else "decimal"
