"""Needs of a node, and the place where nodes run: the choice of an executor and its YAML file."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, Field, ValidationError

from benchmark.engine.node import Node
from benchmark.errors import TaskError, unknown_name

EXECUTORS = ("local", "ray", "slurm")
PACKAGES = {"ray": "ray", "slurm": "submitit"}  # that the extras of the same names install
DEFAULT, RAY = "default", "RAY_ADDRESS"
GIB = 2**30


class Resources(BaseModel, extra="forbid", frozen=True):
    """Resources of one node.

    Attributes:
        cores: of a processor.
        memory_gb: in GiB; None leaves the limit to the executor.
        gpus: a fraction shares a GPU between nodes. Nodes that compute on the CPU get none.
        hours: wall time, after which SLURM ends the node; it continues from its saved state.
    """

    cores: Annotated[int, Field(ge=1)] = 1
    memory_gb: Annotated[float, Field(gt=0)] | None = None
    gpus: Annotated[float, Field(ge=0)] = 0.0
    hours: Annotated[float, Field(gt=0)] | None = None


class RayCluster(BaseModel, extra="forbid", frozen=True):
    """A Ray cluster; without an address, RAY_ADDRESS or a local one that ends with the run."""

    address: str | None = None


class SlurmCluster(BaseModel, extra="forbid", frozen=True):
    """A SLURM cluster.

    Attributes:
        scheduler: ``slurm``, or ``local`` for processes of this machine through the same code.
        array: nodes of one array that run at once; None for no limit.
        options: further options of ``sbatch``, such as ``{account: thorax, qos: low}``.
        setup: shell lines before a node, such as ``module load cuda``.
    """

    scheduler: Literal["slurm", "local"] = "slurm"
    partition: str | None = None
    array: Annotated[int, Field(ge=1)] | None = None
    options: dict[str, Any] = {}
    setup: tuple[str, ...] = ()


class ClusterFile(BaseModel, extra="forbid", frozen=True):
    """Content of the file that ``--cluster`` names.

    Attributes:
        executor: where nodes run, unless ``--executor`` says otherwise.
        nodes_at_once: nodes that run or wait in the cluster's own queue.
        resources: by ``default``, stage or ``stage/row``; the last that applies wins, field by field.
    """

    executor: Literal["local", "ray", "slurm"] = "local"
    nodes_at_once: Annotated[int, Field(ge=1)] = 100
    resources: dict[str, Resources] = {}
    ray: RayCluster = RayCluster()
    slurm: SlurmCluster = SlurmCluster()

    def of(self, node: Node) -> Resources:
        """Return the resources of a node."""
        names = (DEFAULT, node.stage, f"{node.stage}/{node.row}")
        given: dict[str, Any] = {}
        for name in names:
            if name in self.resources:
                given |= self.resources[name].model_dump(exclude_unset=True)
        on_gpu = getattr(node.config, "device", "cpu") == "cuda"
        return Resources(**given | {"gpus": (given.get("gpus") or 1.0) if on_gpu else 0.0})


@dataclass(frozen=True)
class Placement:
    """The place where the nodes of a run are computed."""

    executor: str = "local"
    cluster: ClusterFile = field(default_factory=ClusterFile)

    @property
    def elsewhere(self) -> bool:
        """Return whether nodes may run on other machines, whose devices this process cannot see."""
        return self.executor != "local"

    @property
    def is_shared(self) -> bool:
        """Return whether nodes run on a cluster that others may use, and not on this machine alone."""
        slurm = self.executor == "slurm" and self.cluster.slurm.scheduler == "slurm"
        return slurm or (self.executor == "ray" and bool(self.cluster.ray.address or os.environ.get(RAY)))

    @property
    def has_gpus(self) -> bool:
        """Return whether the cluster's file states GPUs for some nodes."""
        return any(resources.gpus for resources in self.cluster.resources.values())


LOCAL = Placement()


def placement(executor: str | None, file: Path | None) -> Placement:
    """Return where nodes run.

    Raises:
        TaskError: an unknown executor or one that is not installed, or a fault in the file, by its field.
    """
    cluster = ClusterFile() if file is None else _read(file)
    return Placement(installed(executor or cluster.executor), cluster)


def installed(name: str) -> str:
    """Return the name of an executor.

    Raises:
        TaskError: it is unknown, or its package is not installed.
    """
    if name not in EXECUTORS:
        raise unknown_name("executor", name, list(EXECUTORS), "--executor")
    if name in PACKAGES and find_spec(PACKAGES[name]) is None:
        problem, remedy = f"needs the package {PACKAGES[name]}", f"pip install 'synththorax[{name}]'"
        raise TaskError(f"--executor {name}", problem, remedy)
    return name


def _read(file: Path) -> ClusterFile:
    where = f"--cluster {file}"
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise TaskError(where, f"cannot be read: {error.strerror}", "Give a YAML file.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise TaskError(where, f"is not YAML: {str(error).splitlines()[0]}", "See docs/cluster.md.") from None
    try:
        return ClusterFile.model_validate({} if content is None else content)
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"])) or "file"
        problem = f"{fault['msg']}, got {fault['input']!r}"
        raise TaskError(f"{where}: {place}", problem, "See docs/cluster.md.") from None


@dataclass(frozen=True)
class Machine:
    """Resources of one machine of a cluster."""

    name: str
    cores: float
    memory_gb: float
    gpus: float

    def lacks(self, needed: Resources) -> str:
        """Return the first resource that a node needs and this machine does not have; empty if none."""
        pairs: Mapping[str, tuple[float, float]] = {
            "cores": (needed.cores, self.cores),
            "GPUs": (needed.gpus, self.gpus),
            "GiB of memory": (needed.memory_gb or 0.0, self.memory_gb),
        }
        return next((name for name, (need, has) in pairs.items() if need > has + 1e-9), "")

    def __str__(self) -> str:
        memory = math.floor(10 * self.memory_gb) / 10
        return f"{self.name}, has {self.cores:g} cores, {self.gpus:g} GPUs and {memory:g} GiB of memory"


def refuse_impossible(nodes: Sequence[tuple[Node, Resources]], machines: list[Machine]) -> None:
    """Refuse a node whose resources no machine has.

    Raises:
        TaskError: names the node, the resource that the largest machine lacks, and what that one has.
    """
    checked: set[Resources] = set()
    for node, needed in nodes:
        if needed in checked:
            continue
        checked.add(needed)
        lacking = [machine.lacks(needed) for machine in machines]
        if machines and all(lacking):
            largest = max(machines, key=lambda m: (m.gpus, m.cores, m.memory_gb))
            resource = largest.lacks(needed)
            amount = {"cores": needed.cores, "GPUs": needed.gpus}.get(resource, needed.memory_gb)
            problem = f"needs {amount:g} {resource}, and the largest, {largest}"
            raise TaskError(f"node {node.id}", problem, f"Lower 'resources: {node.stage}' in --cluster FILE.")
