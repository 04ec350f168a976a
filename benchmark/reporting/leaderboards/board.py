"""Model of a leaderboard: the content of its pages, in order. The pages only lay it out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from typing import Any

from benchmark.bundles.io import MANIFEST, Bundle
from benchmark.bundles.schema import Manifest
from benchmark.bundles.standing import Standing
from benchmark.comparison.records import Comparison, MetricCard, SplitSummary
from benchmark.comparison.row_records import BaselineDifference, Bounds, RowFigures
from benchmark.errors import SubmissionError
from benchmark.reporting.formats import percent
from benchmark.reporting.leaderboards.above_oracle import above_oracle
from benchmark.reporting.leaderboards.board_parts import BoardRow, Environment, Group, SplitSection
from benchmark.reporting.leaderboards.candidates import places, verdict
from benchmark.reporting.leaderboards.findings import Finding, findings
from benchmark.reporting.leaderboards.measure_columns import MeasureColumns
from benchmark.reporting.leaderboards.mixtures import hidden_measures, mixtures
from benchmark.reporting.leaderboards.selection import (
    Selection,
    sealed_findings,
    selection_findings,
    selections,
)
from benchmark.tasks.loading import load_task, task_names
from benchmark.utils.formatting import listed, plural

NOTICES = {
    "phantom": "Phantom results. A program drew the images and knows their true content; they do not show "
    "patients. This page does not say how a generator performs on clinical images.",
    "real": "Results on real images. They hold for this source, these classes and this number of patients.",
}
UNITS = {  # of rules.Mix
    "class": "class",
    "real_image": "real image",
    "still_image": "still image",
    "deficit": "image that a class lacks to the largest",
}
SPLITS = {
    "test_paper": (
        "On a test split of the published size",
        "in the published proportions. The intervals show the precision of a study of this size",
    ),
    "test_site": ("At another site", "from another site"),
}
LAST_GROUPS = ("all others", "not recorded")  # values of subgroups


@cache
def task_title(name: str) -> str:
    """Return the title of a task of the suite, else its name in words."""
    title = load_task(name).title if name in task_names() else ""
    return title or name.replace("_", " ")


@dataclass(frozen=True, eq=False)
class Board(MeasureColumns):
    """One leaderboard: the rows of one protocol, and everything that its pages show.

    Raises:
        SubmissionError: the comparison is not of these bundles.
    """

    bundles: Sequence[Bundle]  # one per row
    comparison: Comparison  # of the same bundles
    name: str = "board"  # of its folder; the ids of its parts on a page begin with it
    standings: Mapping[str, Standing] = field(default_factory=dict)  # by row; empty on the page of a run
    # SHA-256 by row and file, of ``bundle.json`` and of the files beside the bundle. Since ``bundle.json``
    # holds the hashes of the bundle's other files, they cover every byte of a row.
    hashes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = {b.manifest.row.name for b in self.bundles}
        compared = set(self.comparison.primary) | set(self.comparison.failed)
        if names != compared:
            raise SubmissionError(
                "leaderboard",
                f"the comparison is of {sorted(compared)}, the bundles are {sorted(names)}",
                "Compare again.",
            )

    @cached_property
    def head(self) -> Manifest:
        """The manifest whose shared fields stand for all rows."""
        return min((b.manifest for b in self.bundles), key=lambda m: m.row.name)

    @property
    def task(self) -> str:
        return self.head.task

    @property
    def choice(self) -> str:
        """The board's name without its task's."""
        return self.name.removeprefix(f"{self.task}-")

    @property
    def title(self) -> str:
        """The title of the task; its name for a task that is not among the suite's."""
        return task_title(self.task)

    @cached_property
    def rows(self) -> list[BoardRow]:
        """Candidates by place and mean, then unranked and failed ones; then the references by mean."""
        return sorted(map(self._row, self.bundles), key=self._order)

    def _row(self, bundle: Bundle) -> BoardRow:
        name, ranking = bundle.manifest.row.name, self.comparison.ranking
        ranked = ranking.rows.get(name)
        return BoardRow(
            manifest=bundle.manifest,
            rank=ranked.rank if ranked else None,
            place=(place := self.places.get(name)),
            tied=0 if place is None else list(self.places.values()).count(place) - 1,
            unranked=ranking.unranked.get(name),
            figures=self.comparison.primary.get(name),
            subgroups=self.comparison.subgroups.get(name, {}),
            grid=bundle.grid,
            standing=self.standings.get(name),
            sha256=self.hashes.get(name, {}).get(MANIFEST, ""),
            selection=self.selections.get(name),
        )

    @cached_property
    def selections(self) -> dict[str, Selection]:
        """The attempts behind every complete row with images."""
        manifests = sorted((b.manifest for b in self.bundles), key=lambda m: m.row.name)
        return selections(manifests, self.comparison)

    def _order(self, row: BoardRow) -> tuple[bool, float, float, str]:
        reference = row.kind == "reference"
        if row.figures is None:
            return (reference, 2e9, 0.0, row.name)
        mean = row.figures.metrics[self.metric.name].estimate
        return (reference, 0 if reference else row.place or 1e9, -mean, row.name)

    @property
    def bands(self) -> list[tuple[str, list[BoardRow]]]:
        """The candidates and the references, with their titles; a band without rows is left out."""
        references = [row for row in self.rows if row.kind == "reference"]
        candidates = [row for row in self.rows if row.kind != "reference"]
        return [(t, own) for t, own in (("Candidates", candidates), ("References", references)) if own]

    @cached_property
    def places(self) -> dict[str, int]:
        """Ranks among the candidates."""
        names = {b.manifest.row.name for b in self.bundles if b.manifest.row.role != "control"}
        return places(self.comparison, names)

    @cached_property
    def verdict(self) -> Finding:
        """The answer of the board in one sentence."""
        return verdict(self.rows, self.comparison)

    @cached_property
    def findings(self) -> list[Finding]:
        """Conclusions of the comparison, one sentence each."""
        roles = {row.name: row.role for row in self.rows}
        return [
            *findings(self.comparison, roles),
            *above_oracle([b.manifest for b in self.bundles], self.comparison),
            *selection_findings(self.comparison, self.selections),
            *sealed_findings(self.standings),
        ]

    @property
    def notes(self) -> list[str]:
        """Notes about the data, the comparison, and rows or stages that mix software or hardware."""
        manifests = sorted((b.manifest for b in self.bundles), key=lambda m: m.row.name)
        of_data = sorted({note for manifest in manifests for note in manifest.data.notes})
        every = (*of_data, *self.comparison.notes, *hidden_measures(manifests), *mixtures(manifests))
        return list(dict.fromkeys(every))

    @property
    def metric(self) -> MetricCard:
        """The primary metric."""
        return self.comparison.settings.primary_metric

    @property
    def split_metrics(self) -> list[MetricCard]:
        """The metrics of a further split: accuracy, since papers report it, and the primary metric."""
        return [m for m in self.comparison.settings.metrics[1:] if m.name == "accuracy"] + [self.metric]

    @property
    def level(self) -> str:
        """The level of the intervals: ``95 %``."""
        return percent(1 - self.comparison.settings.alpha, 0)

    @property
    def bracket(self) -> int:
        return self.head.primary_bracket

    @property
    def multilabel(self) -> bool:
        """True if an image may have several labels."""
        return self.comparison.settings.kind == "multilabel"

    @property
    def test(self) -> SplitSummary:
        """Size, counts and runs of the split that ranks."""
        return self.comparison.splits["test"]

    @property
    def unit(self) -> str:
        """The unit of a bracket: ``images per class``, and the classes that get images where not all do."""
        unit = str(self.head.mix.get("unit", "class"))
        classes = self.head.mix.get("classes")
        return f"images per {UNITS.get(unit, unit)}" + (f" of {listed(classes)}" if classes else "")

    @property
    def synthetic_only(self) -> bool:
        """True if synthetic images replace the real ones."""
        return self.head.mix.get("training") == "synthetic"

    @property
    def trainings(self) -> str:
        """Number of trainings per row, with its factors: ``3 trainings (1 classifier, 3 seeds)``."""
        of_fits = f" with each of {self.fits} fits of a generator" if self.fits > 1 else ""
        return f"{plural(len(self.test.runs), 'training')} ({self.factors}){of_fits}"

    @property
    def fits(self) -> int:
        """The largest number of fits of a generator."""
        return max(len(b.manifest.fit_seeds) for b in self.bundles)

    @property
    def factors(self) -> str:
        """Numbers of classifiers, seeds and folds."""
        head = self.head
        parts = [plural(len(head.classifiers), "classifier"), plural(len(head.seeds), "seed")]
        if head.folds > 1:
            parts.append(plural(head.folds, "fold") + (" joined" if self.test.joined_folds else ""))
        return ", ".join(parts)

    @property
    def splits(self) -> list[SplitSection]:
        """The further test splits."""
        sections = []
        for name, split in sorted(self.comparison.splits.items()):
            if name != "test":
                title, origin = SPLITS.get(name, (f"On the split {name}", ""))
                size = f"{plural(split.images, 'image')} of {plural(split.patients, 'patient')}"
                sentence = f"The same trainings, evaluated on {size} {origin}".strip() + "."
                sections.append(SplitSection(name, title, sentence))
        return sections

    @property
    def rules(self) -> list[tuple[str, Mapping[str, Any]]]:
        """The scenario, the mix and settings of the run, where there are some, with their titles."""
        mix = {k: v for k, v in self.head.mix.items() if v not in (None, {}, [])}
        titled = (("Scenario", self.head.scenario), ("Mix", mix), ("Settings", self.head.settings))
        return [(title, values) for title, values in titled if values]

    @property
    def groups(self) -> list[Group]:
        fields = next((row.subgroups for row in self.rows if row.subgroups), {})
        return [
            Group(name, value, record.images, record.patients, record.too_small)
            for name, values in sorted(fields.items())
            for value, record in sorted(values.items(), key=lambda v: (v[0] in LAST_GROUPS, v[0]))
        ]

    @property
    def notice(self) -> str:
        """Sentences about the kind of images."""
        return NOTICES[self.head.data_kind]

    def figures(self, split: str, bracket: int) -> Mapping[str, RowFigures]:
        """Figures by row on a split at a bracket; empty where there are none."""
        return self.comparison.figures.get(split, {}).get(bracket, {})

    def quality(self, row: str) -> dict[str, Bounds]:
        """Figures of merit of a row that have an interval; none for a failed row."""
        record = self.comparison.quality.get(row)
        return {n: f for n, f in record.overall.items() if f.low is not None} if record else {}

    def difference(self, row: BoardRow, base: str = "real_only") -> BaselineDifference | None:
        """Paired difference of a row to a baseline, in the primary metric at the primary bracket."""
        return row.figures.versus.get(base, {}).get(self.metric.name) if row.figures else None

    @property
    def environments(self) -> list[Environment]:
        """The environments of the rows, in the order of the rows' names."""
        own = [
            (Environment(m.software, m.hardware, m.device, m.precision), m.row.name)
            for m in sorted((b.manifest for b in self.bundles), key=lambda m: m.row.name)
            if m.software  # a row without any result has none
        ]
        different = [e for i, (e, _) in enumerate(own) if e not in [other for other, _ in own[:i]]]
        return [replace(e, rows=tuple(name for other, name in own if other == e)) for e in different]

    @property
    def hardware(self) -> str:
        """The machine of all rows, or the number of different machines."""
        machines = {e.machine for e in self.environments}
        if not machines:
            return "unknown hardware"
        return machines.pop() if len(machines) == 1 else f"{len(machines)} kinds of machines"
