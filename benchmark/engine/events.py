"""Events of a run, and who receives them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmark.engine.node import Node
from benchmark.engine.store import Result


class RunObserver:
    """Receives the events of a run; every method may be overridden."""

    def reused(self, node: Node, result: Result) -> None:
        """Receive a node whose result was complete before the run, or that another run computed meanwhile."""

    def started(self, node: Node) -> None:
        """Receive a node that a worker begins."""

    def progressed(self, node_id: str, share: float) -> None:
        """Receive the share of a running node that is done, 0 to 1."""

    def logged(self, node_id: str, entries: Sequence[Mapping[str, float]]) -> None:
        """Receive scalars by name at each ``step`` of a running node."""

    def finished(self, node: Node, result: Result) -> None:
        """Receive a node that is complete."""

    def failed(self, node: Node, line: str, dependents: Sequence[str]) -> None:
        """Receive a node that failed, the reason, and the ids of the nodes that cannot start without it."""


class CompositeObserver(RunObserver):
    """Passes every event to several observers, in order."""

    def __init__(self, *observers: RunObserver) -> None:
        for event in ("reused", "started", "progressed", "logged", "finished", "failed"):
            setattr(self, event, _to_all([getattr(observer, event) for observer in observers]))


def _to_all(receivers: Sequence[Callable[..., None]]) -> Callable[..., None]:
    def notify(*arguments: Any) -> None:
        for receive in receivers:
            receive(*arguments)

    return notify
