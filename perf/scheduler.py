"""Run a large graph of empty stages: the suite's own time for a node, and its memory.

    python perf/scheduler.py [--nodes 10000] [--executor none] [--workers 2]

``none`` ends every node at once and touches no disk, so that only the scheduler, the progress display and
the forecast take time. ``local`` and ``ray`` compute and commit every node.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmark.engine import runner
from benchmark.engine.executors.protocol import Ended, Message, NodeRequest
from benchmark.engine.node import Graph, Node, StageConfig
from benchmark.engine.resources import Placement, Resources
from benchmark.engine.store import Result, Store
from benchmark.experiments.progress import Progress

FITS = 100  # of generators; the other nodes are trainings, each with the images of one of them


class EmptyConfig(StageConfig, stage="empty", version="1", imports=()):
    """A stage that does nothing."""


def nothing(*_: object) -> dict[str, Any]:
    """Do nothing; a stage function of the engine."""
    return {}


class NoExecutor:
    """Ends every node at once."""

    slots, attempts, shares_losses, queues = 2, 1, False, False

    def __init__(self) -> None:
        self._ended: list[Ended] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to release."""

    def check(self, nodes: Sequence[tuple[Node, Resources]]) -> None:
        """Every resource is there."""

    def submit(self, request: NodeRequest) -> None:
        """End a node."""
        self._ended.append(Ended(request.node.id, True))

    def wait(self, seconds: float) -> list[Ended]:
        """Return what was submitted."""
        ended, self._ended = self._ended, []
        return ended

    def messages(self) -> Iterator[Message]:
        """Report half of every running node."""
        return ((ended.node_id, 0.5) for ended in self._ended)


class NoStore(Store):
    """Holds no result before the run, and every one afterwards."""

    def __init__(self, root: Path, graph: Graph) -> None:
        super().__init__(root)
        self.left = set(graph.keys.values())

    def get(self, stage: str, key: str) -> Result | None:
        """Return no result to the first question, and one to the second."""
        if key in self.left:
            self.left.discard(key)
            return None
        return Result(self.root, {"result": {}, "costs": {"seconds": 0.01, "peak_memory_mb": 1}})


def graph_of(count: int) -> Graph:
    """Return data, fits and trainings, with five classifiers in turn."""
    nodes = [Node("data", EmptyConfig())]
    nodes += [Node(f"fit/{k}", EmptyConfig(), {"data": ("data",)}, seed=k, row=f"g{k}") for k in range(FITS)]
    for k in range(count - len(nodes)):
        inputs = {"data": ("data",), "synthetic": (f"fit/{k % FITS}",)}
        about = {"classifier": f"c{k % 5}", "bracket": k % 3, "row": f"g{k % FITS}"}
        nodes.append(Node(f"classify/{k}", EmptyConfig(), inputs, seed=1000 + k, **about))  # type: ignore[arg-type]
    return Graph(nodes)


def main() -> None:
    """Run the graph and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nodes", type=int, default=10_000)
    parser.add_argument("--executor", choices=("none", "local", "ray"), default="none")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    began, cpu = time.perf_counter(), time.process_time()
    graph = graph_of(options.nodes)
    with tempfile.TemporaryDirectory(prefix="synththorax-scheduler-") as folder:
        store = Store(Path(folder))
        if options.executor == "none":
            store = NoStore(Path(folder), graph)
            runner.open_executor = lambda *_: NoExecutor()  # type: ignore[assignment]
        progress = Progress(graph, options.workers)
        progress._show = lambda *_, **__: progress._shown_left()  # type: ignore[assignment]  prints nothing
        place = Placement("ray" if options.executor == "ray" else "local")
        outcome = runner.execute(
            graph, store, nothing, workers=options.workers, observer=progress, placement=place
        )
    assert len(outcome.results) == len(graph), outcome.report()
    wall, spent = time.perf_counter() - began, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    each, own = 1000 * wall / len(graph), 1000 * spent / len(graph)
    print(f"{options.executor}: {len(graph)} nodes, {each:.2f} ms a node on the wall,")
    print(f"of which this process computes {own:.2f} ms; its peak memory is {peak:.0f} MB")


if __name__ == "__main__":
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    import scheduler  # by a name that workers can import

    scheduler.main()
