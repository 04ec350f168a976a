"""All stages of a task in this process, which starts no workers and lets a test replace parts of them."""

from __future__ import annotations

from pathlib import Path

from benchmark import stages
from benchmark.bundles import assemble
from benchmark.bundles.io import read_bundles
from benchmark.engine.node import Graph
from benchmark.engine.outcome import Outcome
from benchmark.engine.runner import input_keys
from benchmark.engine.store import Store
from benchmark.engine.worker import compute
from benchmark.planning.graph import build
from benchmark.planning.plan import Plan
from benchmark.reporting.leaderboards.publish import publish


def run_here(plan: Plan, root: Path, out: Path) -> tuple[Graph, Outcome]:
    """Compute all stages in a store, and write bundles and leaderboard.

    Args:
        root: its folder ``store`` has the results.
        out: for ``bundles`` and ``leaderboard.*``.
    """
    store, outcome, graph = Store(root / "store"), Outcome(), build(plan)
    for node in graph:
        key = graph.keys[node.id]
        compute(node, key, input_keys(graph, node), str(store.root), stages.run)
        outcome.results[node.id] = store.get(node.stage, key)
    assemble.write_bundles(plan, graph, outcome, out / "bundles")
    publish(read_bundles(out / "bundles"), out)
    return graph, outcome
