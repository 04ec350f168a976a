"""What a user sees while a run goes on: a bar on a terminal, a line per stage elsewhere."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

from benchmark.engine.forecast import Durations, play, start_order
from benchmark.engine.node import Node
from benchmark.engine.runner import Watcher
from benchmark.engine.store import Result


def clock(seconds: float) -> str:
    """Minutes and seconds, ``m:ss``."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


class _Running:
    """What is known of a running node: when it began, and how far it was when it last told."""

    def __init__(self, began: float) -> None:
        self.began, self.share, self.at = began, 0.0, began

    def tell(self, share: float, now: float) -> None:
        """It is that far, 0 to 1; at 0 its work begins, after what its worker had to import."""
        self.share, self.at = share, now
        self.began = self.began if share else now

    @property
    def total(self) -> float:
        """Seconds that it needs in all, by its own pace; 0 before it has told."""
        return (self.at - self.began) / self.share if self.share > 0 else 0.0

    def left(self, expected: float, now: float) -> float:
        """Seconds that it still needs."""
        return max((1 - self.share) * expected - (now - self.at), 0.0)


class Progress(Watcher):
    """Stage, step and time left.

    The time left is that of the rest of the graph, played forward on the workers with the seconds that each
    node is expected to take (``forecast.Durations``): finished nodes of its kind say so, and running ones by
    the share that they have done.

    Args:
        nodes: of the run, each after what it needs.
        workers: how many run at once.
        now: the clock, in seconds.
    """

    def __init__(
        self, nodes: Iterable[Node], workers: int, now: Callable[[], float] = time.monotonic
    ) -> None:
        known = list(nodes)
        self.needs = {n.id: n.needs for n in known}
        self.order, self.durations = start_order(known), Durations(known)
        self.workers, self.total, self.now = workers, len(known), now
        self.left = dict.fromkeys(self.needs)
        self.running: dict[str, _Running] = {}
        self.began, self.bar = now(), _bar()
        self._told = (-math.inf, 0.0)

    def seconds_left(self) -> float:
        """Expected wall seconds until the end."""
        now = self.now()
        seconds = self.durations.expected({n: (r.total, r.share) for n, r in self.running.items()})
        busy = {n: r.left(seconds[n], now) for n, r in self.running.items()}
        waiting = {n: seconds[n] for n in self.left if n not in self.running}
        return play(waiting, busy, self.needs, self.order, self.workers)

    def reused(self, node: Node, result: Result) -> None:
        """A reused node takes no time; what it took once tells of its kind."""
        self.left.pop(node.id, None)
        self.durations.learn(node.id, result.manifest["costs"]["seconds"], here=False)
        self._show(node.id, "reused", quiet=True)

    def started(self, node: Node) -> None:
        """A node begins."""
        self.running[node.id] = _Running(self.now())
        self._show(node.id, "started", quiet=True)

    def progressed(self, node_id: str, share: float) -> None:
        """A node goes on."""
        if node_id in self.running:
            self.running[node_id].tell(share, self.now())
            self._show(node_id, f"{100 * share:.0f} %", quiet=True)

    def finished(self, node: Node, result: Result) -> None:
        """A node is done; learn how long its kind takes."""
        seconds = result.manifest["costs"]["seconds"]
        occupied = self.now() - self.running[node.id].began if node.id in self.running else 0.0
        # a worker also hashes and commits; an interrupted run had done a part before
        self.durations.learn(node.id, max(seconds, occupied))
        self._end(node.id)
        self._show(node.id, f"done in {clock(seconds)}")

    def failed(self, node: Node, line: str) -> None:
        """A node failed."""
        self._end(node.id)
        self._show(node.id, "FAILED: " + line.splitlines()[0])

    def _end(self, node_id: str) -> None:
        self.left.pop(node_id, None)
        self.running.pop(node_id, None)

    def _shown_left(self) -> float:
        """The seconds left, worked out anew once a second."""
        at, seconds = self._told
        if self.now() - at > 1.0:
            self._told = (self.now(), self.seconds_left())
            return self._told[1]
        return max(seconds - (self.now() - at), 0.0)

    def _show(self, node_id: str, what: str, quiet: bool = False) -> None:
        done = self.total - len(self.left)
        text = f"{node_id}: {what}"
        if self.bar:
            self.bar.show(done, self.total, text, clock(self._shown_left()))
        elif not quiet:
            took = clock(self.now() - self.began)
            print(f"[{done}/{self.total}] {took} gone, {clock(self._shown_left())} left  {text}", flush=True)

    def close(self) -> None:
        """Take the bar away."""
        if self.bar:
            self.bar.close()


class _Bar:
    """A rich progress bar with stage, step and time left."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Rich

        self.rich = Rich(
            BarColumn(24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]} left"),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
        )
        self.task: Any = self.rich.add_task("", total=1, left="?")
        self.rich.start()

    def show(self, done: int, total: int, text: str, left: str) -> None:
        self.rich.update(self.task, completed=done, total=total, description=text, left=left)

    def close(self) -> None:
        self.rich.stop()


def _bar() -> _Bar | None:
    return _Bar() if sys.stdout.isatty() else None
