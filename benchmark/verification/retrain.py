"""Some seeds of a bundle trained again, from the generator or the samples on, in a store of their own."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.bundles.assemble import RunResults
from benchmark.bundles.folds import joined_gate, joined_measures
from benchmark.bundles.schema import Manifest
from benchmark.engine.node import Graph
from benchmark.engine.runner import execute
from benchmark.engine.store import Store
from benchmark.errors import SubmissionError
from benchmark.experiments.progress import Progress
from benchmark.planning.graph import build
from benchmark.planning.plan import Plan, Row
from benchmark.planning.resolve import RunRequest, make_plan
from benchmark.stages import run as run_stage
from benchmark.stages.classify import PREDICTIONS
from benchmark.stages.measure import MeasureResult
from benchmark.submissions.sample_row import sample_row
from benchmark.utils.processes import worker_count
from benchmark.verification.protocol import Protocol

if TYPE_CHECKING:
    import pandas as pd

SHARE = 1 / 3  # of the seeds


@dataclass(frozen=True)
class Again:
    """What was trained again.

    Attributes:
        seeds: of the classifiers, drawn at random.
        predictions: with the columns of a bundle's.
        facts: of the row's images, by what the bundle calls them; empty for a row without images.
    """

    seeds: tuple[int, ...]
    predictions: pd.DataFrame
    facts: Mapping[str, Any]


def draw_seeds(seeds: Sequence[int], count: int | None, repeatable: int | None) -> tuple[int, ...]:
    """A random share of the seeds; by the system's randomness, or by a seed of one's own to repeat it."""
    wanted = min(len(seeds), count or math.ceil(SHARE * len(seeds)))
    dice = random.SystemRandom() if repeatable is None else random.Random(repeatable)
    return tuple(sorted(dice.sample(list(seeds), wanted)))


@dataclass(frozen=True)
class Given:
    """What a verifier has at hand: the folder of a real dataset, and what the row is made from."""

    root: Path | None = None
    generator: Path | None = None
    samples: Path | None = None


def plan_again(manifest: Manifest, protocol: Protocol, given: Given, scratch: Path) -> Plan:
    """The plan of a run with the controls and this row, with the parameters of the bundle.

    Args:
        scratch: a folder for the parameters.
    Raises:
        SubmissionError: the suite does not have what the row is made from, and it was not given.
        BenchmarkError: the plan cannot be made here.
    """
    request = as_computed(manifest, protocol.request(given.root, protocol.extractor))
    plan = make_plan(request)
    name = manifest.row.name
    if name in {r.name for r in plan.rows}:
        return plan
    if given.samples is not None:
        return replace(plan, rows=(*plan.rows, _of_samples(manifest, plan, given.samples)))
    if manifest.submission_type != "suite" and given.generator is None:
        raise SubmissionError(
            f"row '{name}'", f"was handed in by way of {manifest.submission_type}",
            "Give --generator FILE or --samples FOLDER.",
        )  # fmt: skip
    source = str(given.generator) if given.generator else name
    plugin = Path(source).stem if given.generator else name
    params = scratch / "params.json"  # JSON is YAML
    params.write_text(json.dumps({"generators": {plugin: dict(manifest.row.params)}}), encoding="utf-8")
    plan = make_plan(replace(request, generators=(source,), params=params))
    rows = tuple(_as_bundle(r, manifest) if r.name == plugin else r for r in plan.rows)
    return replace(plan, rows=rows)


def as_computed(manifest: Manifest, request: RunRequest) -> RunRequest:
    """On the device and in the precision of the bundle where they are there, else on what there is."""
    from torch.cuda import is_available

    device = "cuda" if manifest.device == "cuda" and is_available() else "cpu"
    precision = manifest.precision if manifest.precision in ("float32", "bfloat16") else "auto"
    return replace(request, device=device, precision=precision)


def _of_samples(manifest: Manifest, plan: Plan, samples: Path) -> Row:
    """The row of images that were made elsewhere, if they are those that the bundle was made from.

    Raises:
        SubmissionError: they are others, or are refused.
    """
    row, _ = sample_row(plan, samples)
    if dict(row.params) != manifest.row.params:
        raise SubmissionError(
            f"--samples {samples}", "are not the images that the bundle was made from, by their content"
        )
    return _as_bundle(row, manifest)


def _as_bundle(row: Row, manifest: Manifest) -> Row:
    """The row under the name that the bundle gives it."""
    return replace(row, name=manifest.row.name)


def wanted_nodes(plan: Plan, row: str, seeds: Sequence[int]) -> Graph:
    """The trainings of a row with some seeds, the measures of its images, and what these need."""
    return build(plan).needed(
        lambda node: (
            node.row == row and (node.stage == "measure" or (node.stage == "classify" and node.seed in seeds))
        )
    )


def train_again(plan: Plan, row: str, seeds: tuple[int, ...], store: Path, workers: int | None) -> Again:
    """Train some seeds of a row again.

    Args:
        store: an empty folder, so that nothing of an earlier run is taken for a new one.
    Raises:
        SubmissionError: a stage failed.
    """
    nodes, count = wanted_nodes(plan, row, seeds), worker_count(plan.device, workers)
    progress = Progress(nodes, count)
    try:
        outcome = execute(nodes, Store(store), run_stage, workers=count, observer=progress)
    finally:
        progress.close()
    for line in outcome.failures.values():
        raise SubmissionError(f"row '{row}'", f"could not be run again: {line}")
    results = RunResults(nodes, outcome)
    predictions = results.tables("classify", row, PREDICTIONS)
    assert predictions is not None
    return Again(seeds, predictions, _facts(results, row))


def _facts(results: RunResults, row: str) -> dict[str, Any]:
    """Hashes and measures of the images, and the sizes of the networks."""
    sizes = {name: size.record() for name, size in results.network_sizes(row).items()}
    measured, drawn = results.read("measure", MeasureResult, row), results.synthetic(row)
    gate = joined_gate([m.memorization for m in measured])
    if gate is None:
        return {"parameters": sizes}
    return {
        "parameters": sizes,
        "hashes": [d.hash for d in drawn],
        "images": sum(d.images for d in drawn),
        "measures": {name: m.record() for name, m in joined_measures([m.measures for m in measured]).items()},
        "memorization": gate.record(),
    }
