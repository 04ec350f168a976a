"""What a leaderboard shows, in the order in which it shows it; the pages only lay it out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmark.bundles.io import Bundle
from benchmark.bundles.schema import Manifest
from benchmark.comparison.records import quality_metrics
from benchmark.errors import SubmissionError
from benchmark.reporting.leaderboards.findings import findings, metric_of, primary
from benchmark.utils.formatting import listed, plural

COPIES = "duplicate_real"  # copies by definition: shown as gated, ranked all the same
KINDS = {
    "phantom": "Phantom results. A program that knows the truth has drawn the images; they show no patients. "
    "Nothing on this page says how well a generator does on clinical images.",
    "real": "Results on real images. They hold for this source, these classes and this number of patients.",
}


LAST = ("all others", "not recorded")  # values of subgroups
UNITS = {  # of rules.Mix
    "class": "class",
    "real_image": "real image",
    "still_image": "still image",
    "deficit": "image that a class lacks to the largest",
}
SPLITS = {
    "test_paper": (
        "On a test split of the published size",
        "in the published proportions. The intervals show what a study of this size can tell apart",
    ),
    "test_site": ("At another site", "from a site of its own"),
}


@dataclass(frozen=True, eq=False)
class Line:
    """One row of the table.

    Attributes:
        manifest: what the row's bundle says.
        rank: tie group, or None with a reason in ``unranked``.
        figures: at the primary bracket on ``test``; None for a failed row.
        subgroups: the primary metric by field and value; None for a failed row.
        grid: PNG of samples, or None.
    """

    manifest: Manifest
    rank: int | None
    tied: int
    unranked: str | None
    figures: Mapping[str, Any] | None
    subgroups: Mapping[str, Any] | None
    grid: bytes | None

    @property
    def name(self) -> str:
        """The row's name."""
        return self.manifest.row.name

    @property
    def gated(self) -> bool:
        """Whether the memorization gate holds the row back."""
        return self.copies and self.name != COPIES

    @property
    def copies(self) -> bool:
        """Whether the memorization gate catches the row's images, be they copies by definition or not."""
        gate = self.manifest.memorization
        return gate is not None and gate.gated

    @property
    def absence(self) -> str:
        """Why there are no figures, in two words."""
        return "not run" if self.manifest.not_run else "failed"


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
    def metric(self) -> Mapping[str, Any]:
        """Name, title, noun and form of the primary metric."""
        return metric_of(self.comparison)

    @property
    def metrics(self) -> Sequence[Mapping[str, Any]]:
        """All metrics that are reported, the primary one first."""
        found: Sequence[Mapping[str, Any]] = self.comparison["settings"]["metrics"]
        return found

    @property
    def quality_metrics(self) -> Sequence[Mapping[str, Any]]:
        """The figures of merit with bootstrap intervals; none where the comparison has none."""
        return quality_metrics(self.comparison)

    def quality(self, row: str) -> Mapping[str, Any]:
        """The figures of merit of a row that have an interval; none for a failed row."""
        found: Mapping[str, Any] = self.comparison.get("quality", {}).get(row, {}).get("overall", {})
        return {name: figure for name, figure in found.items() if figure["low"] is not None}

    @property
    def multilabel(self) -> bool:
        """Whether an image may have several labels."""
        return bool(self.comparison["settings"]["kind"] == "multilabel")

    @property
    def test(self) -> Mapping[str, Any]:
        """Size, counts and runs of the split that ranks."""
        found: Mapping[str, Any] = self.comparison["splits"]["test"]
        return found

    @property
    def unit(self) -> str:
        """What a bracket counts: ``images per class``, of the classes that get any."""
        unit = str(self.head.mix.get("unit", "class"))
        only = self.head.mix.get("classes")
        return f"images per {UNITS.get(unit, unit)}" + (f" of {listed(only)}" if only else "")

    @property
    def alone(self) -> str:
        """A sentence where synthetic images replace the real ones, else nothing."""
        if self.head.mix.get("training") != "synthetic":
            return ""
        return "Rows with synthetic images are trained on these alone, without real ones."

    @property
    def trainings(self) -> str:
        """How many trainings a row has, and of what: ``15 trainings (1 classifier, 3 seeds, 5 folds)``."""
        head, runs = self.head, len(self.test["runs"])
        parts = [plural(len(head.classifiers), "classifier"), plural(len(head.seeds), "seed")]
        if head.folds > 1:
            joined = " joined" if self.test["joined_folds"] else ""
            parts.append(plural(head.folds, "fold") + joined)
        return f"{plural(runs, 'training')} ({', '.join(parts)})"

    @property
    def splits(self) -> list[dict[str, Any]]:
        """The further test splits, with a title, a sentence and the metrics that are shown."""
        found = []
        for name, said in sorted(self.comparison["splits"].items()):
            if name != "test":
                title, words = SPLITS.get(name, (f"On the split {name}", ""))
                size = f"{plural(said['images'], 'image')} of {plural(said['patients'], 'patient')}"
                sentence = f"The same trainings, judged on {size} {words}".strip() + "."
                found.append({"name": name, "title": title, "sentence": sentence})
        return found

    @property
    def split_metrics(self) -> list[Mapping[str, Any]]:
        """What is shown of a further split: accuracy, since papers report it, and the primary metric."""
        return [m for m in self.metrics[1:] if m["name"] == "accuracy"] + [self.metric]

    def rules(self) -> list[tuple[str, Any]]:
        """The scenario and the mix, where the task has them, with their names."""
        mix = {k: v for k, v in self.head.mix.items() if v not in (None, {}, [])}
        found = [("Scenario", self.head.scenario), ("Mix", mix)]
        return [(name, said) for name, said in found if said]

    def groups(self) -> list[dict[str, Any]]:
        """The subgroups, the same for every row: ``field``, ``value``, their size and ``too_small``."""
        fields: Mapping[str, Any] = next((li.subgroups for li in self.lines if li.subgroups), {})
        keys = ("images", "patients", "too_small")
        return [
            {"field": field, "value": value, **{k: record[k] for k in keys}}
            for field, values in sorted(fields.items())
            for value, record in sorted(values.items(), key=lambda v: (v[0] in LAST, v[0]))
        ]

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

    def difference(self, line: Line, base: str = "real_only") -> Mapping[str, Any] | None:
        """The paired difference of a row to a baseline, in the primary metric at the primary bracket."""
        versus: Mapping[str, Any] = (line.figures or {}).get("versus", {}).get(base) or {}
        return versus.get(self.metric["name"])

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
    metric = metric_of(comparison)["name"]
    lines = sorted((_line(b, comparison, figures) for b in bundles), key=lambda line: _order(line, metric))
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
        subgroups=comparison["subgroups"].get(name),
        grid=bundle.grid,
    )


def _order(line: Line, metric: str) -> tuple[float, float, str]:
    mean = line.figures[metric]["estimate"] if line.figures else 0.0
    if line.rank is None:
        return (1e9 if line.figures else 2e9, -mean, line.name)
    return (line.rank, -mean, line.name)


def _measure_order(name: str) -> tuple[int, str]:
    known = ("fid", "kid", "ms", "gan")
    kind = name.partition("_")[0]
    return (known.index(kind) if kind in known else len(known), name)
