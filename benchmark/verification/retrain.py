"""Some seeds of a bundle trained again, from the generator or the samples on, in a store of their own."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.errors import SubmissionError
from benchmark.execute import Outcome, execute, worker_count
from benchmark.pipeline import Node, Plan, Row, build
from benchmark.planning import make_plan
from benchmark.progress import Progress
from benchmark.publish.manifest import Manifest
from benchmark.report import joined_gate, joined_measures
from benchmark.sample_row import sample_row
from benchmark.store import Store
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
    wish = protocol.wish(given.root, protocol.extractor)
    name = manifest.row.name
    if name in {r.name for r in make_plan(wish, stages=("data",)).rows}:
        return make_plan(wish)
    if manifest.way != "suite" and given.generator is None and given.samples is None:
        raise SubmissionError(
            f"row '{name}'",
            f"was handed in by way of {manifest.way}",
            "Give --generator FILE or --samples FOLDER.",
        )
    if given.samples is not None:
        return _plan_of_samples(manifest, make_plan(replace(wish, generators=())), given.samples)
    source = str(given.generator) if given.generator else name
    plugin = Path(source).stem if given.generator else name
    params = scratch / "params.json"  # JSON is YAML
    params.write_text(json.dumps({"generators": {plugin: dict(manifest.row.params)}}), encoding="utf-8")
    plan = make_plan(replace(wish, generators=(source,), params=params))
    rows = tuple(_as_bundle(r, manifest) if r.name == plugin else r for r in plan.rows)
    return replace(plan, rows=rows)


def _plan_of_samples(manifest: Manifest, plan: Plan, source: Path) -> Plan:
    """The plan with the row of these images, which must be those of the bundle."""
    row, _ = sample_row(plan, source)
    said = manifest.row.params.get("content")
    if said != row.params["content"]:
        raise SubmissionError(
            f"--samples {source}",
            f"holds images of content {row.params['content'][:12]}, the bundle's are {str(said)[:12]}",
            "Give the very images that were handed in.",
        )
    return replace(plan, rows=(*plan.rows, _as_bundle(row, manifest)))


def _as_bundle(row: Row, manifest: Manifest) -> Row:
    """The row under the name that the bundle gives it."""
    return replace(row, name=manifest.row.name)


def wanted_nodes(plan: Plan, row: str, seeds: Iterable[int]) -> list[Node]:
    """The trainings of a row with some seeds, the measures of its images, and what these need."""
    nodes, chosen = build(plan), {str(s) for s in seeds}
    found: set[str] = set()
    for node in reversed(nodes):
        own = node.row == row and (node.stage == "measure" or node.stage == "classify")
        if (own and node.tags.get("seed", next(iter(chosen))) in chosen) or node.id in found:
            found |= {node.id, *node.needs}
    return [n for n in nodes if n.id in found]


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
        outcome = execute(nodes, Store(store), workers=count, watcher=progress)
    finally:
        progress.close()
    for line in outcome.failures.values():
        raise SubmissionError(f"row '{row}'", f"could not be run again: {line}")
    own = [n for n in nodes if n.row == row]
    return Again(seeds, _predictions(own, outcome), _facts(own, outcome))


def _predictions(nodes: Iterable[Node], outcome: Outcome) -> pd.DataFrame:
    import pandas as pd

    parts = [outcome.results[n.id].folder / "predictions.parquet" for n in nodes if n.stage == "classify"]
    return pd.concat([pd.read_parquet(p) for p in parts], ignore_index=True)


def _facts(nodes: Iterable[Node], outcome: Outcome) -> dict[str, Any]:
    """Hashes and measures of the images, and the sizes of the networks."""
    by_stage: dict[str, list[dict[str, Any]]] = {}
    parameters = {}
    for node in nodes:
        said = outcome.results[node.id].manifest["result"]
        by_stage.setdefault(node.stage, []).append(said)
        if node.stage == "classify":
            parameters[node.tags["classifier"]] = said["parameters"]
    facts: dict[str, Any] = {"parameters": parameters}
    if "measure" in by_stage:
        drawn = by_stage.get("filter") or by_stage["generate"]
        facts |= {
            "hashes": [d["hash"] for d in drawn],
            "images": sum(d["images"] for d in drawn),
            "measures": joined_measures([m["measures"] for m in by_stage["measure"]]),
            "memorization": joined_gate([m["memorization"] for m in by_stage["measure"]]),
        }
    return facts
