"""Assemble bundles from the results of a run."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from benchmark.bundles.fits import measures_over_fits, worst_gate
from benchmark.bundles.folds import joined_data, joined_filter
from benchmark.bundles.io import bundle_folders, write_bundle
from benchmark.bundles.notes import filter_notes, selection_notes, share_notes
from benchmark.bundles.previews import preview_images
from benchmark.bundles.provenance import provenance_fields
from benchmark.bundles.schema import SCHEMA
from benchmark.bundles.tables import as_stored
from benchmark.bundles.training import fit_curves, training_picture
from benchmark.comparison.reported import results as reported_results
from benchmark.engine.node import Graph
from benchmark.engine.outcome import Outcome
from benchmark.engine.store import Result
from benchmark.images.arrow import read_images
from benchmark.planning.graph import data_nodes
from benchmark.planning.plan import Plan, Row
from benchmark.stages.classify import PREDICTIONS, ClassifyResult
from benchmark.stages.data import DataResult
from benchmark.stages.fit import FitResult
from benchmark.stages.gan_test import GanTestResult
from benchmark.stages.generate import GenerateResult, ImagesResult
from benchmark.stages.job import SYNTHETIC
from benchmark.stages.learning_curve import CURVE
from benchmark.stages.measure import MeasureResult
from benchmark.stages.quality_filter import QualityFilterResult
from benchmark.stages.records import REAL_ONLY, NetworkSize, StageResult
from benchmark.stages.select import SelectResult
from benchmark.tasks.profile import Profile
from benchmark.tasks.schema import Task
from benchmark.utils.hashing import sha256_of
from benchmark.utils.outputs import refuse_foreign_folders

if TYPE_CHECKING:
    import pandas as pd

Reported = TypeVar("Reported", bound=StageResult)


@dataclass(frozen=True)
class RunResults:
    """The results of a run, by stage and row; those of failed nodes are absent."""

    graph: Graph
    outcome: Outcome

    def results(self, stage: str, row: str | None = None, fit: int | None = None) -> list[Result]:
        """Return the results of a stage, of one row and fit or of all, fold by fold."""
        ids = [node.id for node in self.graph.find(stage, row) if fit in (None, node.fit)]
        return [self.outcome.results[i] for i in ids if i in self.outcome.results]

    def read(self, stage: str, kind: type[Reported], row: str | None = None) -> list[Reported]:
        """Return what a stage reported, of one row or of all, fold by fold."""
        return [result.read(kind) for result in self.results(stage, row)]

    def fits(self, row: str) -> tuple[int, ...]:
        """Return the seeds of the fits of a row's generator; (0,) for a row without one."""
        return tuple(sorted({node.fit for node in self.graph.find("classify", row)})) or (0,)

    def read_by_fit(self, stage: str, kind: type[Reported], row: str) -> dict[int, list[Reported]]:
        """Return what a stage reported of a row by fit, fold by fold."""
        return {fit: [r.read(kind) for r in self.results(stage, row, fit)] for fit in self.fits(row)}

    def shown_images(self, row: str) -> list[Result]:
        """Return the results that hold the images of the row's first fit, fold by fold."""
        first = self.fits(row)[0]
        return self.results("quality_filter", row, first) or self.results("generate", row, first)

    def tables(self, stage: str, row: str, name: str) -> pd.DataFrame | None:
        """Return the Parquet tables of a stage, joined; None where there are none."""
        import pandas as pd

        paths = [result.folder / name for result in self.results(stage, row)]
        return pd.concat([pd.read_parquet(p) for p in paths], ignore_index=True) if paths else None

    def synthetic(self, row: str) -> Sequence[ImagesResult]:
        """Return number and hash of the images which a row adds, of every fit and fold."""
        filtered = self.read("quality_filter", QualityFilterResult, row)
        return filtered or self.read("generate", GenerateResult, row)

    def network_sizes(self, row: str | None = None) -> dict[str, NetworkSize]:
        """Return the sizes of the trained networks, by classifier."""
        nodes = [n for n in self.graph.find("classify", row) if n.id in self.outcome.results]
        return {n.classifier: self.outcome.results[n.id].read(ClassifyResult).parameters for n in nodes}

    def data(self) -> DataResult:
        """Return what the data hold, over all folds."""
        return joined_data([self.outcome.results[n.id].read(DataResult) for n in data_nodes(self.graph)])

    def failure(self, row: Row) -> str | None:
        """Return why a row has no results, or None."""
        broken = (self.outcome.failures.get(n.id) for n in self.graph if n.row == row.name)
        return row.absent or next(filter(None, broken), None)


def write_bundles(plan: Plan, graph: Graph, outcome: Outcome, folder: Path, only: str | None = None) -> None:
    """Write a bundle per row, also of a failed one; remove those of other rows, without ``only`` one row."""
    run = RunResults(graph, outcome)
    data, sizes = run.data(), run.network_sizes()
    for row in plan.rows:
        if only in (None, row.name):
            _write_row(plan, run, row, manifest(plan, run, row, data, sizes), folder / row.name)
    for old in bundle_folders(folder) if only is None else ():
        if old.name not in {r.name for r in plan.rows}:
            refuse_foreign_folders([old])
            shutil.rmtree(old)


def _write_row(plan: Plan, run: RunResults, row: Row, content: dict[str, Any], folder: Path) -> None:
    predictions = curve = None
    if content["error"] is None:
        table = run.tables("classify", row.name, PREDICTIONS)
        assert table is not None
        predictions = as_stored(table)
        curve = run.tables("learning_curve", row.name, CURVE)
        content["results"] = reported_results(content, predictions)
    sources = run.shown_images(row.name) if may_show(content) else []
    images = preview_images([read_images(r.folder / SYNTHETIC) for r in sources]) if sources else None
    content["samples"] = _samples(run, row.name, images)
    grid = (sources[0].folder / "grid.png").read_bytes() if sources else None
    training = training_picture(run.graph, run.outcome.results, row.name) if sources else None
    write_bundle(folder, content, predictions, grid, curve, images, training)


def may_show(manifest: Mapping[str, Any]) -> bool:
    """Return whether a bundle may hold images of the row.

    Controls of a real source are images of its patients, changed a little or not at all, and so are those of
    a generator that the memorization gate has caught: they do not leave with a bundle.
    """
    gate = manifest["memorization"]
    copies = manifest["row"]["role"] == "control" or (gate is not None and gate["gated"])
    return manifest["data_kind"] == "phantom" or not copies


def _samples(run: RunResults, row: str, images: pd.DataFrame | None) -> dict[str, Any] | None:
    """Return the card of a row's synthetic images, all fits and folds together."""
    parts = run.synthetic(row)
    if not parts:
        return None
    return {
        "images": sum(p.images for p in parts),
        "hash": parts[0].hash if len(parts) == 1 else sha256_of([p.hash for p in parts]),
        "shown": 0 if images is None else len(images),
    }


def manifest(
    plan: Plan, run: RunResults, row: Row, data: DataResult, sizes: Mapping[str, NetworkSize]
) -> dict[str, Any]:
    """Return the content of ``bundle.json``, but for ``samples``, ``results`` and ``files``.

    Args:
        data: over all folds.
        sizes: of the classifiers that were trained, by name.
    """
    error, task, profile = run.failure(row), plan.task, plan.profile
    measured, notes = _measured(run, row.name)
    return {
        "schema": SCHEMA,
        "task": task.name,
        "profile": plan.profile_name,
        **task_fields(task, profile),
        "protocol_hash": plan.protocol_hash,
        "source": plan.source,
        "data_kind": plan.data_kind,
        "classes": data.classes,
        "positive": data.classes[-1] if task.primary_metric.name == "f1" else None,
        "folds": len(plan.folds),
        "settings": dict(plan.settings),
        "scenario": plan.steps,
        "classifier_cards": _classifier_cards(profile, sizes),
        "row": row_card(row, profile),
        "submission_type": row.submission_type,
        "submission": row.submission,
        "attempts": row.attempts,
        "fit_seeds": list(run.fits(row.name)),
        "status": "failed" if error else "complete",
        "error": error,
        "data": {"fingerprint": plan.source_fingerprint, **_data_card(data, notes)},
        **measured,
        "curve": list(profile.learning_curve) if row.name == REAL_ONLY else [],
        "fit_curves": fit_curves(run.graph, run.outcome.results, row.name),
        "costs": _costs(row.name, run),
        **provenance_fields(
            run.graph, run.outcome.results, row.name, device=plan.device, precision=plan.precision
        ),
    }


def row_card(row: Row, profile: Profile) -> dict[str, Any]:
    """Return name, role, description and parameters of a row, as its bundle states them."""
    card: dict[str, Any] = {k: row.card.get(k, "") for k in ("title", "description", "citation", "license")}
    card |= {"name": row.name, "role": row.role, "version": row.version, "params": dict(row.params)}
    if not row.has_images:
        return card
    return card | {
        "image_size": row.entry.image_size or profile.image_size,
        "fit_unit": row.unit,
        "assets": {asset.name: asset.hash for asset in row.assets},
    }


def _data_card(data: DataResult, notes: Sequence[str]) -> dict[str, Any]:
    splits = {name: split.record() for name, split in data.splits.items()}
    return {"splits": splits, "proof": data.proof, "notes": [*data.notes, *notes]}


def _measured(run: RunResults, row: str) -> tuple[dict[str, Any], list[str]]:
    """Return what ``bundle.json`` holds of the measures of a row's images, and the notes on them."""
    measured = run.read_by_fit("measure", MeasureResult, row)
    filtered = run.read_by_fit("quality_filter", QualityFilterResult, row)
    tested = run.read_by_fit("gan_test", GanTestResult, row)
    parts: list[Mapping[int, Sequence[StageResult]]] = [measured, filtered, tested]
    rates = joined_filter([f.quality_filter for own in filtered.values() for f in own])
    measures = [
        measures_over_fits({fit: [r.measures for r in own] for fit, own in part.items()}) for part in parts
    ]
    gate = worst_gate({fit: [m.memorization for m in own] for fit, own in measured.items()})
    notes = [note for part in parts for own in part.values() for r in own for note in r.notes]
    if row == REAL_ONLY:
        notes += selection_notes(run.read("select", SelectResult))
    notes += filter_notes(row, rates or {})
    notes += [note for fitted in run.read("fit", FitResult, row) for note in fitted.notes]
    notes += share_notes(row, [drawn.cards for drawn in run.read("generate", GenerateResult, row)])
    fields = {
        "measures": {name: m.record() for part in measures for name, m in part.items()},
        "quality_filter": None if rates is None else {name: r.record() for name, r in rates.items()},
        "memorization": None if gate is None else gate.record(),
    }
    return fields, list(dict.fromkeys(notes))


def task_fields(task: Task, profile: Profile) -> dict[str, Any]:
    """Return what ``bundle.json`` holds of the task and its profile, the same for every source and row."""
    return {
        "question": task.question,
        "citation": task.citation,
        "labels": task.labels,
        "mix": task.mix.model_dump(mode="json"),
        "subgroups": list(task.subgroups),
        "image_size": profile.image_size,
        "primary_metric": task.primary_metric.model_dump(mode="json"),
        "primary_bracket": profile.primary_bracket,
        "brackets": list(profile.brackets),
        "seeds": list(profile.seeds),
        "classifiers": [c.name for c in profile.classifiers],
        "statistics": task.statistics.model_dump(mode="json"),
    }


def _classifier_cards(profile: Profile, sizes: Mapping[str, NetworkSize]) -> list[dict[str, Any]]:
    return [
        {
            **classifier.model_dump(mode="json", exclude={"plateau_patience"}),
            "batch_size": classifier.batch_size or profile.budget.batch_size,
            "parameters": sizes[classifier.name].record() if classifier.name in sizes else None,
        }
        for classifier in profile.classifiers
    ]


def _costs(row: str, run: RunResults) -> dict[str, Any]:
    def seconds(fit: int | None = None) -> dict[str, float | None]:
        costs: dict[str, float | None] = {}
        for name, stage in (("fit", "fit"), ("sample", "generate"), ("classify", "classify")):
            own = [float(result.costs.seconds) for result in run.results(stage, row, fit)]
            costs[f"{name}_seconds"] = round(sum(own), 2) if own else None
        return costs

    results, fits = run.outcome.results, run.fits(row)
    peaks = [float(results[n.id].costs.peak_memory_mb) for n in run.graph if n.row == row and n.id in results]
    by_fit = {fit: seconds(fit) for fit in fits} if len(fits) > 1 else {}
    return {**seconds(), "peak_memory_mb": max(peaks, default=None), "by_fit": by_fit}
