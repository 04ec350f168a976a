"""The data of a bundle's protocol, made again, and what the bundle says of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.bundles.folds import joined_data
from benchmark.bundles.schema import Manifest
from benchmark.engine.runner import execute
from benchmark.engine.store import Store
from benchmark.errors import BenchmarkError, DataError
from benchmark.images import arrow
from benchmark.images.image_set import Splits
from benchmark.metrics.features import PHANTOM
from benchmark.planning.graph import build
from benchmark.planning.plan import Plan
from benchmark.planning.resolve import make_plan
from benchmark.stages import run as run_stage
from benchmark.stages.data import DataResult
from benchmark.verification.check import Check, Fault, judged, same, shown, unlike
from benchmark.verification.protocol import Protocol


@dataclass(frozen=True, eq=False)
class Truth:
    """The data of a protocol as they come out here.

    Attributes:
        folds: the splits of every fold; one of a hold-out.
        said: what the stage says of them, over all folds.
        taught: a classifier guessed labels of ``train``; that differs from machine to machine.
    """

    plan: Plan
    folds: tuple[Splits, ...]
    said: Mapping[str, Any]
    taught: bool


def data_of(protocol: Protocol, root: Path | None, store: Path) -> Truth:
    """Draw, or read, the data of a protocol.

    Args:
        root: folder of a real dataset.
        store: results are kept here, as those of a run.
    Raises:
        DataError: the source needs a folder, or cannot be read.
    """
    plan = make_plan(protocol.request(root, PHANTOM), stages=("data",))  # no extractor is asked about data
    graph = build(plan)
    nodes = graph.until({"data"})
    outcome = execute(nodes, Store(store), run_stage, workers=1)
    for line in outcome.failures.values():
        raise DataError(f"source {protocol.source}", line.partition("\n")[0])
    results = [outcome.results[n.id] for n in nodes]
    return Truth(
        plan=plan,
        folds=tuple(arrow.read_splits(r.folder) for r in results),
        said=joined_data([r.read(DataResult) for r in results]).record(),
        taught=bool(graph.find("pseudo_label")),
    )


def found_data(protocol: Protocol, root: Path | None, store: Path) -> tuple[Truth | None, list[Check]]:
    """The data; or why they cannot be had, which is no fault of the bundle."""
    try:
        return data_of(protocol, root, store), []
    except BenchmarkError as error:
        why = f"{error.where}: {error.problem} {error.remedy}".strip()
        return None, [
            Check("data", None, f"the data were not made again, so nothing is held against them: {why}")
        ]


def check_data(manifest: Manifest, truth: Truth) -> list[Check]:
    """Fingerprint, sizes, hashes, proof and notes of the data."""
    record = manifest.record()["data"]
    faults: list[Fault] = []
    if not same(record["fingerprint"], truth.plan.source_fingerprint):
        faults.append((
            "data.fingerprint",
            f"is {shown(record['fingerprint'])}, expected {shown(truth.plan.source_fingerprint)}",
        ))  # fmt: skip
    if list(manifest.classes) != truth.said["classes"]:
        faults.append(("classes", f"are {list(manifest.classes)}, the data have {truth.said['classes']}"))
    gone = {"train"} if truth.taught else set()
    for part in ("splits", "proof"):
        said, true = _without(record[part], gone), _without(truth.said[part], gone)
        faults += unlike(said, true, f"data.{part}.")
    faults += _notes(record["notes"], truth)
    sizes = ", ".join(f"{name} {split['images']}" for name, split in truth.said["splits"].items())
    checks = judged("data", faults, f"made again: {sizes} images, the same hashes")
    if truth.taught:
        checks.append(Check("data", None, "labels of train that a classifier guessed were not guessed again"))
    return checks


def _without(record: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    return {k: v for k, v in record.items() if k not in names}


def _notes(said: list[str], truth: Truth) -> list[Fault]:
    """The notes of the data come first; what the strategies did to a row follows."""
    true = list(truth.said["notes"])
    if truth.taught or said[: len(true)] == true:
        return []
    return [("data.notes", f"begin with {shown(said[: len(true)])}, expected {shown(true)}")]
