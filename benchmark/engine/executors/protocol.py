"""The contract of an executor, and one attempt at a node wherever it runs."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from benchmark.engine.mailbox import Mailbox
from benchmark.engine.node import Node
from benchmark.engine.resources import Resources
from benchmark.engine.worker import StageRunner, compute, report_to
from benchmark.errors import BenchmarkError, TaskError

Message = tuple[str, Any]  # id of a node, and a share done, scalars at a step, or the file of a picture


@dataclass(frozen=True)
class NodeRequest:
    """A node to compute.

    Attributes:
        inputs: stage and key of each input, by role.
        root: folder of the store, absolute.
    """

    node: Node
    key: str
    inputs: Mapping[str, tuple[tuple[str, str], ...]]
    root: str
    run_stage: StageRunner
    resources: Resources


@dataclass(frozen=True)
class Fault:
    """An error of a node.

    Attributes:
        error: one that a user can fix; None for a bug, which ``kind`` and ``text`` name.
        trace: traceback.
    """

    error: BenchmarkError | None
    kind: str
    text: str
    trace: str


@dataclass(frozen=True)
class Ended:
    """The end of an attempt at a node: computed here or by another run, a fault, or a lost worker.

    Attributes:
        computed: False where another run has computed the result.
        lost: why its worker is gone; it may run again.
        saved: the lost worker had saved its state, as one that is preempted does; it counts as no failure.
    """

    node_id: str
    computed: bool = False
    fault: Fault | None = None
    lost: str = ""
    saved: bool = False


class Executor(Protocol):
    """Computes nodes.

    Attributes:
        slots: nodes to hand over at once.
        attempts: losses of a worker, without a saved state, after which a node counts as failed.
        shares_losses: a lost worker takes the other running nodes with it, so the culprit is unknown.
        queues: a submitted node may wait for a machine.
    """

    slots: int
    attempts: int
    shares_losses: bool
    queues: bool

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release the workers; after an error, end what runs."""

    def check(self, nodes: Sequence[tuple[Node, Resources]]) -> None:
        """Refuse nodes whose resources no machine has.

        Raises:
            TaskError: names the node, the resource and what there is.
        """

    def submit(self, request: NodeRequest) -> None:
        """Compute a node; its end comes from ``wait``."""

    def wait(self, seconds: float) -> list[Ended]:
        """Return the nodes that have ended, after at most some seconds."""

    def messages(self) -> Iterable[Message]:
        """Return what running nodes have reported since the last call."""


def attempt(request: NodeRequest) -> Ended:
    """Compute a node in this process, and report every error as a record that crosses machines."""
    node = request.node
    try:
        _check_device(node)
        computed = compute(node, request.key, request.inputs, request.root, request.run_stage)
    except Exception as error:
        own = error if isinstance(error, BenchmarkError) else None
        trace = "".join(traceback.format_exception(error))
        return Ended(node.id, fault=Fault(own, type(error).__name__, str(error), trace))
    return Ended(node.id, computed)


def attempt_elsewhere(request: NodeRequest) -> Ended:
    """Compute a node on a machine of a cluster, which reports through the shared store."""
    report_to(Mailbox(Path(request.root), request.key))
    return attempt(request)


def _check_device(node: Node) -> None:
    """Refuse a node for a GPU on a machine without one."""
    if getattr(node.config, "device", "cpu") != "cuda":
        return
    import platform

    import torch

    if not torch.cuda.is_available():
        problem = f"is to run on a GPU, and torch finds none on {platform.node()}"
        raise TaskError(f"stage {node.stage}", problem, "State its gpus in --cluster FILE, or --device cpu.")
