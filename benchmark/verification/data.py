"""Recompute the data of a bundle's protocol, and compare them with the bundle's account of them."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from benchmark.bundles.folds import joined_data
from benchmark.bundles.schema import Manifest
from benchmark.engine.runner import execute
from benchmark.engine.store import Store, store_root
from benchmark.errors import BenchmarkError, DataError, StoreError
from benchmark.images import arrow
from benchmark.images.image_set import Splits
from benchmark.metrics.extractor.features import PHANTOM
from benchmark.planning.graph import build
from benchmark.planning.plan import Plan
from benchmark.planning.resolve import make_plan
from benchmark.stages import run as run_stage
from benchmark.stages.data import DataResult
from benchmark.verification.check import NOT_CHECKED, Check, checks_of, difference, differences
from benchmark.verification.protocol import Protocol

Value = TypeVar("Value")


@dataclass(frozen=True, eq=False)
class RecomputedData:
    """The data of a protocol as this machine computes them.

    Attributes:
        folds: the splits of every fold; one of a hold-out.
        summary: the result of the stage ``data``, joined over the folds.
        pseudo_labeled: a classifier labeled some of ``train``, which differs from machine to machine.
    """

    plan: Plan
    folds: tuple[Splits, ...]
    summary: Mapping[str, Any]
    pseudo_labeled: bool
    _derived: dict[Hashable, Any] = field(default_factory=dict)

    def once(self, key: Hashable, compute: Callable[[], Value]) -> Value:
        """Return what depends on the data and on ``key`` alone, computed once for all bundles."""
        if key not in self._derived:
            self._derived[key] = compute()
        value: Value = self._derived[key]
        return value


class DataCache:
    """The data of every protocol, recomputed once: one object serves all bundles of a command.

    The data depend on the protocol's request alone, so no bundle decides what another is compared with.

    Args:
        root: folder of a real dataset.
        store: folder for the results, as of a run; default: that of runs.
    """

    def __init__(self, root: Path | None, store: Path | None = None) -> None:
        self._root, self._store = root, store
        self._data: dict[Hashable, RecomputedData] = {}

    def of(self, protocol: Protocol) -> RecomputedData:
        """Return the data of a protocol; raises as ``recompute_data``."""
        key = protocol.request(self._root, PHANTOM)
        if key not in self._data:
            self._data[key] = recompute_data(protocol, self._root, self._store or store_root())
        return self._data[key]


def recompute_data(protocol: Protocol, root: Path | None, store: Path) -> RecomputedData:
    """Draw or read the data of a protocol.

    Args:
        root: folder of a real dataset.
        store: folder for the results, as of a run.
    Raises:
        DataError: the source needs a folder, or cannot be read.
    """
    plan = make_plan(protocol.request(root, PHANTOM), stages=("data",))  # the data need no extractor
    graph = build(plan)
    nodes = graph.until({"data"})
    try:
        outcome = execute(nodes, Store(store), run_stage, workers=1, essential=lambda _: True)
    except StoreError:
        raise
    except BenchmarkError as error:
        raise DataError(f"source {protocol.source}", str(error).partition("\n")[0]) from error
    results = [outcome.results[n.id] for n in nodes]
    return RecomputedData(
        plan=plan,
        folds=tuple(arrow.read_splits(r.folder) for r in results),
        summary=joined_data([r.read(DataResult) for r in results]).record(),
        pseudo_labeled=bool(graph.find("pseudo_label")),
    )


def check_data(manifest: Manifest, data: RecomputedData) -> list[Check]:
    """Check fingerprint, classes, sizes, hashes, proof of disjointness and notes."""
    record, summary = manifest.record()["data"], data.summary
    faults = difference("data.fingerprint", record["fingerprint"], data.plan.source_fingerprint)
    faults += difference("classes", list(manifest.classes), list(summary["classes"]))
    ignored = {"train"} if data.pseudo_labeled else set()
    for part in ("splits", "proof"):
        own, expected = ({k: v for k, v in r[part].items() if k not in ignored} for r in (record, summary))
        faults += differences(own, expected, f"data.{part}.")
    if not data.pseudo_labeled:  # the notes of the row's strategies come after those of the data
        notes = list(summary["notes"])
        faults += difference("data.notes", record["notes"][: len(notes)], notes)
    sizes = ", ".join(f"{name} {split['images']}" for name, split in summary["splits"].items())
    checks = checks_of("data", faults, f"recomputed: {sizes} images with the same hashes")
    if data.pseudo_labeled:
        checks.append(Check("data", NOT_CHECKED, "pseudo-labels of train were not recomputed"))
    return checks
