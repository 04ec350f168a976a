"""Retrain some seeds of a bundle, from its generator or its samples on, in an empty store."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.bundles.assemble import RunResults
from benchmark.bundles.fits import measures_over_fits, worst_gate
from benchmark.bundles.previews import preview_images
from benchmark.bundles.schema import Manifest
from benchmark.bundles.seasons import Secret
from benchmark.engine.node import Graph
from benchmark.engine.runner import execute
from benchmark.engine.store import Store
from benchmark.errors import BenchmarkError, StoreError, SubmissionError
from benchmark.experiments.progress import Progress
from benchmark.images.arrow import read_images
from benchmark.planning.graph import build
from benchmark.planning.plan import Plan
from benchmark.planning.request import RunRequest
from benchmark.planning.resolve import make_plan
from benchmark.stages import run as run_stage
from benchmark.stages.classify import PREDICTIONS
from benchmark.stages.job import SYNTHETIC
from benchmark.stages.measure import MeasureResult
from benchmark.submissions.sample_row import sample_row
from benchmark.utils.hashing import sha256_of
from benchmark.utils.processes import worker_count
from benchmark.verification.protocol import Protocol
from benchmark.verification.request import VerifyRequest
from benchmark.verification.sealed import SealedPredictions, predict_sealed, sealed_nodes

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class RegeneratedImages:
    """A row's images, generated again, and their measures as a bundle reports them.

    Attributes:
        hash: of the images of all fits and folds.
        images: their number.
        shown: those that a bundle shows, as in ``Bundle.previews``.
    """

    hash: str
    images: int
    measures: Mapping[str, Any]
    memorization: Mapping[str, Any] | None
    shown: pd.DataFrame | None = None


@dataclass(frozen=True)
class Retraining:
    """The results of retraining.

    Attributes:
        seeds: of the classifiers.
        predictions: with the columns of a bundle's.
        parameters: the network size of every classifier.
        regenerated: None for a row without images.
        sealed: None without the secret of a season.
    """

    seeds: tuple[int, ...]
    predictions: pd.DataFrame
    parameters: Mapping[str, Any]
    regenerated: RegeneratedImages | None = None
    sealed: SealedPredictions | None = None


def draw_seeds(seeds: Sequence[int], count: int, draw_seed: int | None) -> tuple[int, ...]:
    """Draw some of the seeds, by the system's randomness or repeatably by ``draw_seed``."""
    size = min(len(seeds), count)
    rng = random.SystemRandom() if draw_seed is None else random.Random(draw_seed)
    return tuple(sorted(rng.sample(list(seeds), size)))


def retraining_plan(manifest: Manifest, protocol: Protocol, request: VerifyRequest, scratch: Path) -> Plan:
    """Plan a run with the controls and this row, with the parameters of the bundle.

    Args:
        scratch: a folder for the parameters.
    Raises:
        SubmissionError: the suite lacks the row's generator or samples, and ``request`` gives neither.
        BenchmarkError: the plan cannot be made here.
    """
    run = on_this_machine(manifest, protocol.request(request.root, protocol.extractor))
    plan = make_plan(run)
    name = manifest.row.name
    if name in {r.name for r in plan.rows}:
        return plan
    if request.samples is not None:
        row, _ = sample_row(plan, request.samples)
        if dict(row.params) != manifest.row.params:
            problem = "do not have the content hash of the bundle's images"
            raise SubmissionError(f"--samples {request.samples}", problem)
        return replace(plan, rows=(*plan.rows, replace(row, name=name)))
    if manifest.submission_type != "suite" and request.generator is None:
        problem = f"was submitted as {manifest.submission_type}"
        raise SubmissionError(f"row '{name}'", problem, "Give --generator FILE or --samples FOLDER.")
    source = str(request.generator) if request.generator else name
    plugin = Path(source).stem if request.generator else name
    params = scratch / "params.json"  # JSON is YAML
    params.write_text(json.dumps({"generators": {plugin: dict(manifest.row.params)}}), encoding="utf-8")
    plan = make_plan(replace(run, generators=(source,), params=params))
    return replace(plan, rows=tuple(replace(r, name=name) if r.name == plugin else r for r in plan.rows))


def on_this_machine(manifest: Manifest, request: RunRequest) -> RunRequest:
    """Request the device and precision of the bundle where available, else those that are."""
    from torch.cuda import is_available

    device = "cuda" if manifest.device == "cuda" and is_available() else "cpu"
    precision = manifest.precision if manifest.precision in ("float32", "bfloat16") else "auto"
    return replace(request, device=device, precision=precision)


def required_nodes(plan: Plan, row: str, seeds: Sequence[int]) -> Graph:
    """Return the trainings of a row with some seeds, the measures of its images, and their inputs."""
    return build(plan).needed(
        lambda node: (
            node.row == row and (node.stage == "measure" or (node.stage == "classify" and node.seed in seeds))
        )
    )


def retrain(
    plan: Plan,
    row: str,
    seeds: tuple[int, ...],
    store: Path,
    workers: int | None,
    secret: Secret | None = None,
) -> Retraining:
    """Retrain some seeds of a row.

    Args:
        store: an empty folder, so that no earlier result is reused.
        secret: of the season whose sealed test the trained networks read, after all stages have ended.
    Raises:
        SubmissionError: a stage failed, after which no other one begins.
    """
    nodes = sealed_nodes(plan, row, seeds) if secret else required_nodes(plan, row, seeds)
    count = worker_count(plan.device, workers)
    try:
        with closing(Progress(nodes, count)) as progress:
            outcome = execute(
                nodes, Store(store), run_stage, workers=count, observer=progress, essential=lambda _: True
            )
    except StoreError:
        raise
    except BenchmarkError as error:
        raise SubmissionError(f"row '{row}'", f"could not be retrained: {error}") from error
    results = RunResults(nodes, outcome)
    predictions = results.tables("classify", row, PREDICTIONS)
    assert predictions is not None
    sizes = {name: size.record() for name, size in results.network_sizes(row).items()}
    sealed = None if secret is None else predict_sealed(plan, nodes, outcome, row, seeds, secret, store)
    return Retraining(seeds, predictions, sizes, _regenerated(results, row), sealed)


def _regenerated(results: RunResults, row: str) -> RegeneratedImages | None:
    """Return the hash and the measures of the row's images, or None for a row without images."""
    measured, drawn = results.read_by_fit("measure", MeasureResult, row), results.synthetic(row)
    gate = worst_gate({fit: [m.memorization for m in own] for fit, own in measured.items()})
    if gate is None:
        return None
    measures = {fit: [m.measures for m in own] for fit, own in measured.items()}
    return RegeneratedImages(
        hash=drawn[0].hash if len(drawn) == 1 else sha256_of([d.hash for d in drawn]),
        images=sum(d.images for d in drawn),
        measures={name: m.record() for name, m in measures_over_fits(measures).items()},
        memorization=gate.record(),
        shown=preview_images([read_images(r.folder / SYNTHETIC) for r in results.shown_images(row)]),
    )
