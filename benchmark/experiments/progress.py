"""Progress of a run: a bar on a terminal, a line per node elsewhere."""

import math
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from benchmark.engine.events import RunObserver
from benchmark.engine.forecast import Durations, simulate, start_order
from benchmark.engine.node import Graph, Node
from benchmark.engine.store import Result
from benchmark.stages.data import DataConfig, DataResult
from benchmark.utils.formatting import plural


def clock(seconds: float) -> str:
    """Return minutes and seconds, ``m:ss``."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


class _Running:
    """A running node: when it began, the share that it last reported, and when."""

    def __init__(self, began: float) -> None:
        self.began, self.share, self.at = began, 0.0, began

    def report(self, share: float, now: float) -> None:
        """Record the share done, 0 to 1; at 0 the work begins, after the imports of its worker."""
        self.share, self.at = share, now
        self.began = self.began if share else now

    @property
    def total(self) -> float:
        """Seconds that it needs in all, by its own pace; 0 before its first report."""
        return (self.at - self.began) / self.share if self.share > 0 else 0.0

    def left(self, expected: float, now: float) -> float:
        """Return the seconds that it still needs."""
        return max((1 - self.share) * expected - (now - self.at), 0.0)


class Progress(RunObserver):
    """Shows stage, step and time left.

    The time left is that of the rest of the graph, simulated on the workers with the expected seconds of each
    node (``forecast.Durations``), which finished nodes of its kind correct, and running ones by their share
    done.

    Args:
        workers: how many nodes run at once.
        now: the clock, in seconds.
    """

    def __init__(self, graph: Graph, workers: int, now: Callable[[], float] = time.monotonic) -> None:
        self.needs = {n.id: n.needs for n in graph}
        self.order, self.durations = start_order(graph), Durations(graph.nodes)
        self.workers, self.total, self.now = workers, len(graph), now
        self.left = dict.fromkeys(self.needs)
        self.running: dict[str, _Running] = {}
        self.began, self.bar = now(), _bar()
        self._estimate = (-math.inf, 0.0)  # when it was made, and the seconds left then

    def seconds_left(self) -> float:
        """Return the expected wall seconds until the end."""
        now = self.now()
        seconds = self.durations.expected({n: (r.total, r.share) for n, r in self.running.items()})
        busy = {n: r.left(seconds[n], now) for n, r in self.running.items()}
        waiting = {n: seconds[n] for n in self.left if n not in self.running}
        return simulate(waiting, busy, self.needs, self.order, self.workers)

    def reused(self, node: Node, result: Result) -> None:
        """Remove a reused node; its earlier duration informs those of its kind."""
        self._end(node.id)
        self.durations.learn(node.id, result.costs.seconds, here=False)
        self._show(node.id, "reused", quiet=True)

    def damaged(self, nodes: Sequence[Node]) -> None:
        """Print which results are computed again, in one line."""
        names = ", ".join(node.id for node in nodes[:3]) + (", ..." if len(nodes) > 3 else "")
        stored = plural(len(nodes), "stored result")
        print(f"note: {stored} damaged or of an older version, computed again: {names}", flush=True)

    def started(self, node: Node) -> None:
        """Begin the time of a node."""
        self.running[node.id] = _Running(self.now())
        self._show(node.id, "started", quiet=True)

    def progressed(self, node_id: str, share: float) -> None:
        """Record how far a node is."""
        if node_id in self.running:
            self.running[node_id].report(share, self.now())
            self._show(node_id, f"{100 * share:.0f} %", quiet=True)

    def finished(self, node: Node, result: Result) -> None:
        """Remove a finished node, and learn how long its kind takes."""
        seconds = result.costs.seconds
        occupied = self.now() - self.running[node.id].began if node.id in self.running else 0.0
        # a worker also hashes and commits; an interrupted run did a part before
        self.durations.learn(node.id, max(seconds, occupied))
        self._end(node.id)
        self._show(node.id, f"done in {clock(seconds)}")
        if isinstance(node.config, DataConfig):
            for note in result.read(DataResult).notes:
                (self.bar.console.print if self.bar else print)(f"note: {note}")

    def failed(self, node: Node, line: str, dependents: Sequence[str]) -> None:
        """Remove a failed node and those that depend on it, and show why."""
        self.failed_alike(node, line, dependents)
        lost = f" (stages that depend on it: {len(dependents)})" if dependents else ""
        self._show(node.id, f"FAILED: {line.splitlines()[0]}{lost}")

    def failed_alike(self, node: Node, line: str, dependents: Sequence[str]) -> None:
        """Remove a failed node and those that depend on it; the cause has been shown."""
        for node_id in (node.id, *dependents):
            self._end(node_id)

    def _end(self, node_id: str) -> None:
        self.left.pop(node_id, None)
        self.running.pop(node_id, None)

    def _shown_left(self) -> float:
        """Return the seconds left, estimated once a second."""
        at, seconds = self._estimate
        if self.now() - at > 1.0:
            self._estimate = (self.now(), self.seconds_left())
            return self._estimate[1]
        return max(seconds - (self.now() - at), 0.0)

    def _show(self, node_id: str, what: str, quiet: bool = False) -> None:
        done = self.total - len(self.left)
        text = f"{node_id}: {what}"
        left = f"{clock(self._shown_left())} left" if self.left else ""  # none when all is done
        if self.bar:
            self.bar.update(0, completed=done, total=self.total, description=text, left=left)
        elif not quiet:
            times = ", ".join(filter(None, [f"{clock(self.now() - self.began)} gone", left]))
            print(f"[{done}/{self.total}] {times}  {text}", flush=True)

    def phase(self, text: str) -> None:
        """Show what follows the last node."""
        if self.bar:
            self.bar.update(0, description=text, left="")
        else:
            print(f"{text} ...", flush=True)

    def close(self) -> None:
        """Remove the bar."""
        if self.bar:
            self.bar.stop()


def _bar() -> Any:
    """Return a started rich progress bar on a terminal, else None."""
    if not sys.stdout.isatty():
        return None
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Rich

    left, text = TextColumn("{task.fields[left]}"), TextColumn("{task.description}")
    bar = Rich(BarColumn(24), MofNCompleteColumn(), left, TimeElapsedColumn(), text)
    bar.add_task("", total=1, left="")
    bar.start()
    return bar
