"""Events of a run, and who receives them."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmark.engine.node import Node
from benchmark.engine.store import Result


class RunObserver:
    """Receives the events of a run; every method may be overridden."""

    def reused(self, node: Node, result: Result) -> None:
        """Receive a node whose result was complete before the run, or that another run computed meanwhile."""

    def damaged(self, nodes: Sequence[Node]) -> None:
        """Receive the nodes whose stored results are damaged, or of an older version, before any starts."""

    def started(self, node: Node) -> None:
        """Receive a node that a worker begins."""

    def progressed(self, node_id: str, share: float) -> None:
        """Receive the share of a running node that is done, 0 to 1."""

    def logged(self, node_id: str, entries: Sequence[Mapping[str, float]]) -> None:
        """Receive scalars by name at each ``step`` of a running node."""

    def pictured(self, node_id: str, path: Path) -> None:
        """Receive a picture that a running node has drawn, or drawn again; it may be gone by now."""

    def finished(self, node: Node, result: Result) -> None:
        """Receive a node that is complete."""

    def failed(self, node: Node, line: str, dependents: Sequence[str]) -> None:
        """Receive a node that failed, the reason, and the ids of the nodes that cannot start without it."""

    def failed_alike(self, node: Node, line: str, dependents: Sequence[str]) -> None:
        """Receive a failure whose cause was received before; by default as any other."""
        self.failed(node, line, dependents)


EVENTS = (
    "reused",
    "damaged",
    "started",
    "progressed",
    "logged",
    "pictured",
    "finished",
    "failed",
    "failed_alike",
)


class CompositeObserver(RunObserver):
    """Passes every event to several observers, in order."""

    def __init__(self, *observers: RunObserver) -> None:
        for event in EVENTS:
            setattr(self, event, _to_all([getattr(observer, event) for observer in observers]))


def _to_all(receivers: Sequence[Callable[..., None]]) -> Callable[..., None]:
    def notify(*arguments: Any) -> None:
        for receive in receivers:
            receive(*arguments)

    return notify
