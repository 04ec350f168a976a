"""Expected cost of a run before it starts: from records of the store, and stated guesses."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from benchmark.engine.forecast import Durations, kind, simulate, start_order
from benchmark.engine.node import Graph, Node
from benchmark.engine.resources import Placement
from benchmark.engine.store import MANIFEST, Costs, read_result
from benchmark.utils.hashing import sha256_of

Basis = Literal["same", "similar", "guess"]
SHARED = "(all rows)"


@dataclass(frozen=True)
class NodeEstimate:
    """Expected cost of one stage.

    Attributes:
        basis: a record of the same configuration, records of the same stage and row or classifier, or the
            prior guess of the stage.
        memory_mb: peak of a record of the same stage; None if there is none.
    """

    node: Node
    seconds: float
    memory_mb: float | None
    gpus: float
    basis: Basis


@dataclass(frozen=True)
class RowEstimate:
    """Expected cost of a row; ``name`` is ``SHARED`` for what all rows need."""

    name: str
    stages: int
    reused: int
    seconds: float
    memory_mb: float | None
    gpu_hours: float


@dataclass(frozen=True)
class Estimate:
    """Expected cost of a run.

    Attributes:
        wall_seconds: with ``at_once`` stages at once, each with a machine at once.
    """

    stages: int
    reused: int
    nodes: tuple[NodeEstimate, ...]
    rows: tuple[RowEstimate, ...]
    at_once: int
    wall_seconds: float

    @property
    def bases(self) -> Counter[str]:
        """Number of the stages to compute by the basis of their estimate."""
        return Counter(node.basis for node in self.nodes)


def estimate(graph: Graph, store: Path, placement: Placement, at_once: int) -> Estimate:
    """Return the expected cost of a graph; reads the store, and asks nothing of a device or a cluster."""
    folders = {n.id: store / "results" / n.stage / graph.keys[n.id] for n in graph}
    done = {name for name, folder in folders.items() if read_result(folder, folder.name)}
    records = _records(store, {node.stage for node in graph})
    durations, known = Durations(graph.nodes), set[str]()
    for node in graph:
        if costs := records.get(_configuration(node.stage, node.config.model_dump(mode="json"))):
            durations.learn(node.id, _mean(costs), here=False)
            known.add(node.id)
    seconds, kinds = durations.expected({}), {kind(graph[name]) for name in known}
    nodes = tuple(
        NodeEstimate(
            node,
            seconds[node.id],
            _peak(records, node.stage),
            placement.cluster.of(node).gpus,
            "same" if node.id in known else "similar" if kind(node) in kinds else "guess",
        )
        for node in graph
        if node.id not in done
    )
    needs = {node.id: node.needs for node in graph}
    left = {each.node.id: each.seconds for each in nodes}
    wall = simulate(left, {}, needs, start_order(graph), at_once)
    return Estimate(len(graph), len(done), nodes, tuple(_rows(graph, nodes, done)), at_once, wall)


def _rows(graph: Graph, nodes: Iterable[NodeEstimate], done: set[str]) -> Iterable[RowEstimate]:
    nodes = list(nodes)
    for name in dict.fromkeys(node.row for node in graph):
        own = [each for each in nodes if each.node.row == name]
        stages = [node for node in graph if node.row == name]
        memory = [each.memory_mb for each in own if each.memory_mb is not None]
        yield RowEstimate(
            name or SHARED,
            len(stages),
            sum(node.id in done for node in stages),
            sum(each.seconds for each in own),
            max(memory, default=None),
            sum(each.seconds * each.gpus for each in own) / 3600,
        )


def _records(store: Path, stages: set[str]) -> dict[str, list[Costs]]:
    """Return the costs of the stored results of some stages, by a hash of their configuration."""
    records: dict[str, list[Costs]] = {}
    for stage in sorted(stages):
        for path in sorted((store / "results" / stage).glob(f"*/{MANIFEST}")):
            try:
                manifest = json.loads(path.read_text(encoding="utf-8"))
                costs = Costs(**manifest["costs"])
                records.setdefault(_configuration(stage, manifest["config"]), []).append(costs)
                records.setdefault(stage, []).append(costs)
            except (OSError, ValueError, KeyError, TypeError):  # damaged, or of an earlier version
                continue
    return records


def _configuration(stage: str, config: Mapping[str, Any]) -> str:
    return sha256_of([stage, config])


def _mean(costs: Iterable[Costs]) -> float:
    seconds = [each.seconds for each in costs]
    return sum(seconds) / len(seconds)


def _peak(records: Mapping[str, list[Costs]], stage: str) -> float | None:
    return max((each.peak_memory_mb for each in records.get(stage, ())), default=None)
