"""What a user sees while a run goes on: a bar on a terminal, a line per stage elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from typing import Any

from benchmark.execute import Watcher
from benchmark.pipeline import Node
from benchmark.store import Result


def clock(seconds: float) -> str:
    """Minutes and seconds, ``m:ss``."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


class Progress(Watcher):
    """Stage, step and time left.

    The time left is the expected seconds of what is not done, corrected by how the expectation has held so
    far, over the number of workers.
    """

    def __init__(self, nodes: Iterable[Node], workers: int) -> None:
        known = list(nodes)
        self.guess = {n.id: n.guess for n in known}
        self.stage = {n.id: n.stage for n in known}
        self.workers, self.total = workers, len(self.guess)
        self.left, self.running = set(self.guess), dict[str, float]()
        self.seen: dict[str, list[float]] = {}
        self.began, self.bar = time.monotonic(), _bar()

    def _expected(self, node_id: str) -> float:
        seen = self.seen.get(f"{self.stage[node_id]}:{self.guess[node_id]}")
        return sum(seen) / len(seen) if seen else self.guess[node_id]

    def seconds_left(self) -> float:
        """Expected wall seconds until the end."""
        return sum(self._expected(n) * (1 - self.running.get(n, 0.0)) for n in self.left) / self.workers

    def reused(self, node: Node, result: Result) -> None:
        """A reused node takes no time."""
        self.left.discard(node.id)
        self._show(node.id, "reused", quiet=True)

    def started(self, node: Node) -> None:
        """A node begins."""
        self.running[node.id] = 0.0
        self._show(node.id, "started", quiet=True)

    def progressed(self, node_id: str, share: float) -> None:
        """A node goes on."""
        if node_id in self.left:
            self.running[node_id] = share
            self._show(node_id, f"{100 * share:.0f} %", quiet=True)

    def finished(self, node: Node, result: Result) -> None:
        """A node is done; learn how long its kind takes."""
        self.left.discard(node.id)
        self.running.pop(node.id, None)
        self.seen.setdefault(f"{node.stage}:{node.guess}", []).append(result.manifest["costs"]["seconds"])
        self._show(node.id, f"done in {clock(result.manifest['costs']['seconds'])}")

    def failed(self, node: Node, line: str) -> None:
        """A node failed."""
        self.left.discard(node.id)
        self.running.pop(node.id, None)
        self._show(node.id, "FAILED: " + line.splitlines()[0])

    def _show(self, node_id: str, what: str, quiet: bool = False) -> None:
        done = self.total - len(self.left)
        text = f"{node_id}: {what}"
        if self.bar:
            self.bar.show(done, self.total, text, clock(self.seconds_left()))
        elif not quiet:
            took = clock(time.monotonic() - self.began)
            print(f"[{done}/{self.total}] {took} gone, {clock(self.seconds_left())} left  {text}", flush=True)

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
