"""Compute nodes on a Ray cluster; resources, placement and the retry of lost workers are Ray's."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmark.engine.executors.protocol import Ended, Message, NodeRequest, attempt_elsewhere
from benchmark.engine.mailbox import Reader
from benchmark.engine.node import Node
from benchmark.engine.resources import GIB, RAY, Machine, Placement, Resources, refuse_impossible
from benchmark.errors import TaskError
from benchmark.utils.processes import THREADS, out_of_reach_of_a_terminal

RETRIES = 3  # of a node whose worker or machine is lost
PASSED_ON = ("SYNTHTHORAX_", "HF_", "TORCH_HOME", "PYTHONPATH")  # beginnings of environment variables


class RayExecutor:
    """One Ray task a node, on the cluster of an address, or on a local one that ends with the run."""

    attempts, shares_losses, queues = 1, False, True

    def __init__(self, placement: Placement, workers: int, root: Path) -> None:
        self._placement, self._workers = placement, workers
        self._mail, self._root = Reader(root), root
        self._running: dict[Any, NodeRequest] = {}
        self.slots = placement.cluster.nodes_at_once

    def __enter__(self) -> Self:
        import ray

        address = self._placement.cluster.ray.address or os.environ.get(RAY)
        local: dict[str, Any] = {"num_cpus": self._workers, "include_dashboard": False}
        try:
            with out_of_reach_of_a_terminal():
                ray.init(
                    address=address or "local", log_to_driver=False, logging_level=logging.ERROR,
                    configure_logging=False, runtime_env={"env_vars": _environment()},
                    **({} if address else local),
                )  # fmt: skip
        except Exception as error:  # Ray raises ConnectionError, RuntimeError and its own
            first = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
            raise TaskError(
                "--executor ray", f"cannot connect to {address or 'a local cluster'}: {first}",
                "Start it with `ray start --head`, or correct ray.address in --cluster FILE.",
            ) from None  # fmt: skip
        self._task = ray.remote(max_retries=RETRIES, num_returns=1)(attempt_elsewhere)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        import ray

        for reference in self._running:
            with suppress(Exception):  # of a cluster that is gone
                ray.cancel(reference, force=True)
        ray.shutdown()

    def check(self, nodes: Sequence[tuple[Node, Resources]]) -> None:
        """Refuse what no machine of the cluster has now."""
        import ray

        refuse_impossible(nodes, [_machine(node) for node in ray.nodes() if node["Alive"]])

    def submit(self, request: NodeRequest) -> None:
        """Hand a node to Ray, which waits for a machine with its resources."""
        needed = request.resources
        options: dict[str, Any] = {"num_cpus": needed.cores, "num_gpus": needed.gpus, "name": request.node.id}
        if needed.memory_gb:
            options["memory"] = int(needed.memory_gb * GIB)
        self._running[self._task.options(**options).remote(request)] = request

    def wait(self, seconds: float) -> list[Ended]:
        """Return the nodes that have ended; Ray has retried the lost ones."""
        import ray

        if not self._running:
            return []
        ids = list(self._running)
        done, _ = ray.wait(ids, num_returns=1, timeout=seconds)
        if done:  # whatever else has ended by now
            done, _ = ray.wait(ids, num_returns=len(ids), timeout=0)
        ended = []
        for reference in done:
            request = self._running.pop(reference)
            try:
                ended.append(ray.get(reference))
            except ray.exceptions.RayError as error:
                first = (str(error).strip().splitlines() or [""])[0][:160]
                lost = f"Ray lost its worker {RETRIES + 1} times: {type(error).__name__}: {first}"
                ended.append(Ended(request.node.id, lost=lost))
            self._mail.forget(request.key)
        return ended

    def messages(self) -> Iterator[Message]:
        """Yield what running nodes have written to the shared store."""
        return self._mail.read([request.key for request in self._running.values()])


def _environment() -> dict[str, str]:
    """Return the environment variables of the workers: this process's settings, and one thread each."""
    own = {k: v for k, v in os.environ.items() if k.startswith(PASSED_ON)}
    return own | dict.fromkeys(THREADS, "1")


def _machine(node: Mapping[str, Any]) -> Machine:
    has = node["Resources"]
    name = f"machine {node['NodeManagerHostname']} of the Ray cluster"
    return Machine(name, has.get("CPU", 0.0), has.get("memory", 0.0) / GIB, has.get("GPU", 0.0))
