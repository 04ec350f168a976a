"""From stage results to bundles, from bundles to a leaderboard."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.bundles.folds import joined_data, joined_filter, joined_gate, joined_measures
from benchmark.bundles.io import write_bundle
from benchmark.bundles.previews import preview_images
from benchmark.bundles.schema import SCHEMA
from benchmark.bundles.tables import as_stored
from benchmark.comparison.reported import results as reported_results
from benchmark.engine.node import Node, without_fold
from benchmark.engine.runner import Outcome
from benchmark.engine.store import Result
from benchmark.images.arrow import read_images
from benchmark.planning.graph import build
from benchmark.planning.plan import Plan, Row
from benchmark.stages.names import REAL_ONLY
from benchmark.tasks.schema import Profile, Task
from benchmark.utils.environment import hardware, software
from benchmark.utils.hashing import sha256_of

if TYPE_CHECKING:
    import pandas as pd


def write_bundles(plan: Plan, outcome: Outcome, folder: Path, only: str | None = None) -> None:
    """A bundle per row, also for a row that failed; bundles of rows that are not in this run go.

    Args:
        only: write the bundle of this row, and leave whatever else is in the folder.
    """
    import shutil

    nodes = build(plan)
    data = [outcome.results[n.id] for n in nodes if without_fold(n.id) == "data"]
    classifiers = _classifier_cards(plan, nodes, outcome)
    chosen = [outcome.results[n.id] for n in nodes if n.stage == "select" and n.id in outcome.results]
    for row in plan.rows:
        if only not in (None, row.name):
            continue
        own = [n for n in nodes if n.row == row.name]
        broken = (outcome.failures[n.id] for n in own if n.id in outcome.failures)
        failed = row.absent or next(broken, None)
        results = {n.id: outcome.results[n.id] for n in own if n.id in outcome.results}
        manifest = _manifest(plan, row, data, classifiers, chosen, results, failed)
        predictions = None if failed else as_stored(_predictions(own, results))
        if predictions is not None:
            manifest["results"] = reported_results(manifest, predictions)
        made = (_of(results, "filter/") or _of(results, "generate/")) if may_show(manifest) else []
        images = preview_images([read_images(r.folder / "synthetic.arrow") for r in made]) if made else None
        manifest["samples"] = _samples(results, images)
        write_bundle(
            folder / row.name,
            manifest,
            predictions,
            (made[0].folder / "grid.png").read_bytes() if made else None,
            None if failed else _curve(own, results),
            images,
        )
    for old in folder.iterdir() if only is None else ():
        if old.is_dir() and old.name not in {r.name for r in plan.rows}:
            shutil.rmtree(old)


def may_show(manifest: Mapping[str, Any]) -> bool:
    """Whether a bundle may hold images of the row.

    Controls of a real source are images of its patients, changed a little or not at all, and so are those of
    a generator that the gate has caught: they do not leave with a bundle.
    """
    gate = manifest["memorization"]
    copies = manifest["row"]["role"] == "control" or (gate is not None and gate["gated"])
    return manifest["data_kind"] == "phantom" or not copies


def _samples(results: Mapping[str, Result], images: pd.DataFrame | None) -> dict[str, Any] | None:
    """The card of a row's synthetic images, all folds together."""
    made = [r.manifest["result"] for r in _of(results, "filter/") or _of(results, "generate/")]
    if not made:
        return None
    return {
        "images": sum(m["images"] for m in made),
        "hash": made[0]["hash"] if len(made) == 1 else sha256_of([m["hash"] for m in made]),
        "shown": 0 if images is None else len(images),
    }


def _of(results: Mapping[str, Result], stage: str) -> list[Result]:
    """The results of one stage, a fold after the other."""
    return [result for id_, result in results.items() if id_.startswith(stage)]


def _predictions(nodes: Iterable[Node], results: dict[str, Result]) -> pd.DataFrame:
    import pandas as pd

    parts = [results[n.id].folder / "predictions.parquet" for n in nodes if n.stage == "classify"]
    return pd.concat([pd.read_parquet(p) for p in parts], ignore_index=True)


def _curve(nodes: Iterable[Node], results: dict[str, Result]) -> pd.DataFrame | None:
    """Predictions of the trainings on shares of the patients, or None where there are none."""
    import pandas as pd

    parts = [results[n.id].folder / "curve.parquet" for n in nodes if n.stage == "curve"]
    return pd.concat([pd.read_parquet(p) for p in parts], ignore_index=True) if parts else None


def _manifest(
    plan: Plan,
    row: Row,
    data: list[Result],
    classifiers: list[dict[str, Any]],
    chosen: list[Result],
    results: dict[str, Result],
    failed: str | None,
) -> dict[str, Any]:
    selected = [c.manifest["result"] for c in chosen]
    said = joined_data([d.manifest["result"] for d in data])
    looked = [
        [r.manifest["result"] for r in _of(results, f"{s}/")] for s in ("measure", "filter", "gan_test")
    ]
    measured, filtered, _ = looked
    task, profile = plan.task, plan.profile
    return {
        "schema": SCHEMA,
        "task": task.name,
        "profile": plan.profile_name,
        **task_fields(task, profile),
        "protocol_hash": plan.protocol_hash,
        "source": plan.source,
        "data_kind": "phantom" if plan.source.startswith("phantom.") else "real",
        "classes": said["classes"],
        "positive": said["classes"][-1] if task.primary_metric.name == "f1" else None,
        "folds": len(plan.folds),
        "scenario": plan.steps,
        "classifier_cards": classifiers,
        "row": {
            "name": row.name,
            "role": row.role,
            **{k: row.card.get(k, "") for k in ("title", "description", "citation", "license")},
            "version": row.version,
            "params": dict(row.params),
        },
        "submission_type": row.submission_type,
        "submission": row.submission,
        "status": "failed" if failed else "complete",
        "error": failed,
        "data": {
            "fingerprint": plan.source_fingerprint,
            "splits": said["splits"],
            "proof": said["proof"],
            "notes": [*said["notes"], *_notes(row, selected, looked)],
        },
        "measures": {
            k: v for part in looked for k, v in joined_measures([p["measures"] for p in part]).items()
        },
        "quality_filter": joined_filter([f["quality_filter"] for f in filtered]),
        "curve": list(profile.curve) if row.name == REAL_ONLY else [],
        "memorization": joined_gate([m["memorization"] for m in measured]),
        "costs": _costs(row, results),
        "software": software(),
        "hardware": hardware(plan.device),
        "device": plan.device,
        "precision": plan.precision,
    }


def task_fields(task: Task, profile: Profile) -> dict[str, Any]:
    """What ``bundle.json`` says of the task and its profile, the same for every source and row."""
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


def _classifier_cards(plan: Plan, nodes: Iterable[Node], outcome: Outcome) -> list[dict[str, Any]]:
    """The cards of the classifiers; how many parameters they have is said by any training of the run."""
    counted = {
        n.tags["classifier"]: outcome.results[n.id].manifest["result"]["parameters"]
        for n in nodes
        if n.stage == "classify" and n.id in outcome.results
    }
    return [
        {
            **classifier.model_dump(mode="json", exclude={"plateau_patience"}),
            "batch_size": classifier.batch_size or plan.profile.budget.batch_size,
            "parameters": counted.get(classifier.name),
        }
        for classifier in plan.profile.classifiers
    ]


def _notes(
    row: Row, selected: Sequence[Mapping[str, Any]], looked: Sequence[Sequence[Mapping[str, Any]]]
) -> list[str]:
    """What the strategies have done to a row's images, in words."""
    notes = [note for part in looked for said in part for note in said.get("notes", [])]
    for k, said in enumerate(selected if row.name == REAL_ONLY else []):
        shares = ", ".join(f"{c} {n} of {said['training_images'][c]}" for c, n in said["chosen"].items())
        fold = f" of fold {k}" if len(selected) > 1 else ""
        notes.append(
            f"Generators learn from the training images{fold} that real_only misclassifies near its "
            f"boundary: {shares}"
        )
    rates = joined_filter([said["quality_filter"] for said in looked[1]]) or {}
    few = [
        f"{name} {r['retained']} of {r['requested']}"
        for name, r in rates.items()
        if r["retained"] < r["requested"]
    ]
    if few:
        notes.append(
            f"{row.name}: of the images that the largest bracket asks for the quality filter leaves "
            f"{', '.join(few)}"
        )
    return list(dict.fromkeys(notes))


def _costs(row: Row, results: dict[str, Result]) -> dict[str, float | None]:
    def seconds(stage: str) -> float | None:
        own = [float(r.manifest["costs"]["seconds"]) for n, r in results.items() if n.startswith(stage)]
        return round(sum(own), 2) if own else None

    return {
        "fit_seconds": seconds("fit/"),
        "sample_seconds": seconds("generate/"),
        "classify_seconds": seconds("classify/"),
        "peak_memory_mb": max(
            (float(r.manifest["costs"]["peak_memory_mb"]) for r in results.values()), default=None
        ),
    }
