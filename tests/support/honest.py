"""Honest bundles of the tiny task: true data, test images, gate and metrics; random scores."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter

from benchmark.bundles import assemble as report
from benchmark.bundles.io import hashes, write_bundle
from benchmark.bundles.previews import preview_images
from benchmark.bundles.schema import Manifest
from benchmark.bundles.tables import as_stored
from benchmark.comparison.reported import results
from benchmark.engine.node import Graph
from benchmark.engine.outcome import Outcome
from benchmark.metrics.extractor.features import PHANTOM
from benchmark.metrics.memorization.gate import memorization
from benchmark.planning.plan import Plan, Row
from benchmark.planning.request import RunRequest
from benchmark.planning.resolve import make_plan
from benchmark.plugins.generator import SampleRequest
from benchmark.stages.data import DataResult
from benchmark.tasks.loading import load_task
from benchmark.utils.environment import hardware, software
from benchmark.verification.data import RecomputedData
from benchmark.verification.gate import real_copies
from benchmark.verification.predictions import expected_images
from benchmark.verification.protocol import Protocol
from support.make_bundles import picture
from support.samples import TINY, synthetic

CARD = {
    "name": "blurred_noise", "title": "Blurred noise", "authors": ["A. Author"], "license": "CC0-1.0",
    "training_data": "none", "pretraining_data": "none", "attempts": 1, "test_access": "none",
    "hardware": "a minute of a CPU",
}  # fmt: skip


def tiny_protocol() -> Protocol:
    """Return the protocol of the tiny task."""
    return Protocol(load_task(str(TINY)), str(TINY), "demo", "phantom.chest", PHANTOM, "")


def write_honest(folder: Path, data: RecomputedData, **changed: Any) -> None:
    """Write a bundle of the suite's ``ddpm``, or of a submission, with true content.

    Args:
        folder: of the bundle.
        data: of the tiny task.
        changed: fields of ``bundle.json``.
    """
    plan = make_plan(RunRequest(task=str(TINY), generators=("ddpm",), device="cpu", precision="float32"))
    row = next(r for r in plan.rows if r.name == "ddpm")
    content = _manifest(plan, row, data)
    content.update(changed)
    content["row"] = {**content["row"], "name": folder.name}
    images = _images(plan, folder.name)
    splits = data.folds[0]
    content["memorization"] = memorization(images, splits.test, real_copies(data)[0])
    some = preview_images([images])
    content["samples"] = {"images": len(images), "hash": images.content_hash(), "shown": len(some)}
    table = as_stored(_predictions(plan, content, data))
    content["results"] = results(content, table)
    write_bundle(folder, content, table, picture("ddpm"), previews=some)


def _manifest(plan: Plan, row: Row, data: RecomputedData) -> dict[str, Any]:
    result = DataResult.model_validate(data.summary)
    content = report.manifest(plan, report.RunResults(Graph(()), Outcome()), row, result, {})
    measure = {"value": 12.5, "floor": 2.5, "n": 60, "direction": "minimize"}
    content["measures"] = {f"fid_{PHANTOM}": measure, "ms_ssim": {**measure, "scales": 2}}
    content["costs"] = {
        "fit_seconds": 3.5, "sample_seconds": 1.25, "classify_seconds": 7.5, "peak_memory_mb": 900.0,
    }  # fmt: skip
    content["quality_filter"] = None
    content |= {"software": software(), "hardware": hardware("cpu")}
    return content


def _images(plan: Plan, name: str) -> Any:
    """Return blurred noise, 12 images of every class, drawn anew for each row."""
    request = SampleRequest.balanced(12, plan.task.classes, plan.profile.image_size)
    noise = np.random.default_rng(5 if name == "ddpm" else 6).normal(size=(len(request.label), 32, 32))
    smooth = gaussian_filter(noise, (0, 2, 2))
    low, high = smooth.min((1, 2), keepdims=True), smooth.max((1, 2), keepdims=True)
    return synthetic((smooth - low) / (high - low), request, "blurred_noise")


def _predictions(plan: Plan, content: dict[str, Any], data: RecomputedData) -> pd.DataFrame:
    """Return random scores for the true test images."""
    placeholder = {**content, "files": {}, "samples": None, "results": {}, "memorization": None}
    images = expected_images(data, Manifest.model_validate(placeholder))
    parts, name, classes = [], content["row"]["name"], len(plan.task.classes)
    for bracket in plan.profile.brackets:
        for seed in plan.profile.seeds:
            classifier = plan.profile.classifiers[0].name
            rng = np.random.default_rng([bracket, seed, *([] if name == "ddpm" else [1])])
            scores = rng.dirichlet(np.ones(classes), len(images))
            part = images.assign(bracket=bracket, classifier=classifier, seed=seed)
            part["run"] = f"{name}/{bracket}/{classifier}/{seed}"
            parts.append(part.assign(**{f"score_{k}": scores[:, k] for k in range(classes)}))
    return pd.concat(parts, ignore_index=True)


def edit(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Apply ``change`` to the content of ``bundle.json``."""
    path = folder / "bundle.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def vouch(folder: Path) -> None:
    """Update the file hashes in ``bundle.json``."""
    edit(folder, lambda content: content.update(files=hashes(folder)))


def at(content: Any, path: tuple[Any, ...]) -> Any:
    """Return the container of the last key of a path."""
    for key in path[:-1]:
        content = content[key]
    return content
