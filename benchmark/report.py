"""From stage results to bundles, from bundles to a leaderboard."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.compare.study import compare
from benchmark.execute import Outcome
from benchmark.pipeline import Node, Plan, Row, build
from benchmark.publish.bundle import Bundle, read_bundles, write_bundle
from benchmark.store import Result

if TYPE_CHECKING:
    import pandas as pd

EXTRACTOR_SEED = 987_654_321  # far from the seeds of any task, so that no test patient was seen
PACKAGES = (
    "synththorax",
    "torch",
    "torchvision",
    "timm",
    "diffusers",
    "torch-fidelity",
    "monai",
    "numpy",
    "scipy",
    "scikit-learn",
    "statsmodels",
    "scikit-posthocs",
    "pyarrow",
    "pandas",
)


def software() -> dict[str, str]:
    """Versions of what a result depends on."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed as a package"
    return found


def hardware(device: str) -> dict[str, Any]:
    """The machine, in words."""
    found: dict[str, Any] = {"processor": _processor(), "cores": os.cpu_count(), "system": platform.system()}
    if device == "cuda":
        import torch

        found["gpu"] = torch.cuda.get_device_name(0)
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def write_bundles(plan: Plan, outcome: Outcome, folder: Path) -> None:
    """A bundle per row, also for a row that failed; bundles of rows that are not in this run go."""
    import shutil

    nodes = build(plan)
    for row in plan.rows:
        own = [n for n in nodes if n.row == row.name]
        failed = next((outcome.failures[n.id] for n in own if n.id in outcome.failures), None)
        results = {n.id: outcome.results[n.id] for n in own if n.id in outcome.results}
        manifest = _manifest(plan, row, outcome.results["data"], results, failed)
        predictions = None if failed else _predictions(own, results)
        grid = results.get(f"generate/{row.name}")
        write_bundle(
            folder / row.name,
            manifest,
            predictions,
            (grid.folder / "grid.png").read_bytes() if grid else None,
        )
    for old in folder.iterdir():
        if old.is_dir() and old.name not in {r.name for r in plan.rows}:
            shutil.rmtree(old)


def _predictions(nodes: Iterable[Node], results: dict[str, Result]) -> pd.DataFrame:
    import pandas as pd

    parts = [results[n.id].folder / "predictions.parquet" for n in nodes if n.stage == "classify"]
    return pd.concat([pd.read_parquet(p) for p in parts], ignore_index=True)


def _manifest(
    plan: Plan, row: Row, data: Result, results: dict[str, Result], failed: str | None
) -> dict[str, Any]:
    said = data.manifest["result"]
    measured = results.get(f"measure/{row.name}")
    measures = measured.manifest["result"] if measured else {}
    task, profile = plan.task, plan.profile
    return {
        "schema": 1,
        "task": task.name,
        "profile": plan.profile_name,
        "question": task.question,
        "citation": task.citation,
        "protocol_hash": plan.protocol_hash,
        "source": plan.source,
        "data_kind": "phantom" if plan.source.startswith("phantom.") else "real",
        "classes": said["classes"],
        "image_size": profile.image_size,
        "primary_metric": task.primary_metric.model_dump(mode="json"),
        "primary_bracket": profile.primary_bracket,
        "brackets": list(profile.brackets),
        "seeds": list(profile.seeds),
        "classifiers": [c.name for c in profile.classifiers],
        "statistics": task.statistics.model_dump(mode="json"),
        "row": {
            "name": row.name,
            "role": row.role,
            **{k: row.card.get(k, "") for k in ("title", "description", "citation", "license")},
            "params": dict(row.params),
        },
        "status": "failed" if failed else "complete",
        "error": failed,
        "data": {
            "fingerprint": plan.source_fingerprint,
            "splits": said["splits"],
            "proof": said["proof"],
            "notes": said["notes"],
        },
        "measures": measures.get("measures", {}),
        "memorization": measures.get("memorization"),
        "costs": _costs(row, results),
        "software": software(),
        "hardware": hardware(plan.device),
        "device": plan.device,
        "precision": plan.precision,
    }


def _costs(row: Row, results: dict[str, Result]) -> dict[str, float | None]:
    def seconds(node_id: str) -> float | None:
        return float(results[node_id].manifest["costs"]["seconds"]) if node_id in results else None

    trainings = [r for n, r in results.items() if n.startswith("classify/")]
    return {
        "fit_seconds": seconds(f"fit/{row.name}"),
        "sample_seconds": seconds(f"generate/{row.name}"),
        "classify_seconds": round(sum(r.manifest["costs"]["seconds"] for r in trainings), 2)
        if trainings
        else None,
        "peak_memory_mb": max(
            (float(r.manifest["costs"]["peak_memory_mb"]) for r in results.values()), default=None
        ),
    }


def compare_folder(folder: Path) -> dict[str, Any]:
    """The comparison of the bundles in a folder."""
    return _compare(read_bundles(folder))


def _compare(bundles: Iterable[Bundle]) -> dict[str, Any]:
    return compare((b.manifest.record(), b.predictions) for b in bundles)


def publish(folder: Path, out: Path) -> dict[str, Any]:
    """Compare the bundles in a folder and write leaderboard.md, .json and .html; returns the comparison."""
    from benchmark.publish.render import render

    bundles = read_bundles(folder)
    comparison = _compare(bundles)
    render(bundles, comparison, out)
    return comparison


def headline(comparison: dict[str, Any]) -> str:
    """A few lines for the terminal: the rows in order, with their intervals."""
    primary = comparison["figures"]["test"][str(comparison["settings"]["primary_bracket"])]
    ranks = comparison["ranking"]["rows"]
    lines = []
    for name, said in sorted(primary.items(), key=lambda item: -item[1]["balanced_accuracy"]["estimate"]):
        mean = said["balanced_accuracy"]
        rank = ranks.get(name, {}).get("rank", "-")
        interval = f"[{100 * mean['low']:.1f}, {100 * mean['high']:.1f}]"
        lines.append(f"  {rank:>2}  {name:<16} {100 * mean['estimate']:5.1f} %  {interval}")
    for name, why in comparison["failed"].items():
        lines.append(f"   -  {name:<16} failed: {why.splitlines()[0]}")
    for claim in comparison["controls"]:
        mark = {True: "held", False: "DID NOT HOLD", None: "cannot be judged"}[claim["held"]]
        lines.append(f"control: {claim['claim']}: {mark}")
    return "\n".join(lines)


def train_extractor(out: Path, steps: int | None) -> dict[str, Any]:
    """Train the embedded extractor on phantom chests drawn at the demo's size and at its own."""
    from dataclasses import replace

    from benchmark.data.phantom import chest
    from benchmark.metrics.extractor.train import Example, Recipe, train

    def draw(index: int) -> Example:
        finding = index % len(chest.CLASSES)
        phantom = chest.draw(
            chest.CLASSES[finding], seed=EXTRACTOR_SEED, index=index, size=(32, 64)[index // 5 % 2]
        )
        return Example(
            phantom.image, finding, int(phantom.view == "AP"), int(phantom.sex == "male"), phantom.mask
        )

    recipe = Recipe() if steps is None else replace(Recipe(), steps=steps, pool=max(200, steps), held_out=100)

    def progress(step: int, total: int) -> None:
        if step % 50 == 0:
            print(f"step {step} of {total}", flush=True)

    return train(draw, out, recipe=recipe, source=f"phantom.chest version {chest.version}", progress=progress)
