"""Nodes of the stage graph, their cache keys and their order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

from pydantic import BaseModel

from benchmark.utils.hashing import sha256_of


class StageConfig(BaseModel, extra="forbid", frozen=True):
    """Configuration of one stage, frozen; each stage defines its own subclass.

    Every field is part of the cache key, except fields with ``exclude=True``: paths and import targets.

    Attributes:
        stage: name of the stage.
        version: of the stage's code. Raise it when the stage would give other results.
        imports: modules that a worker imports before it measures time.
        seconds: expected duration of one node, for the progress bar before any node has run.
    """

    stage: ClassVar[str]
    version: ClassVar[str]
    imports: ClassVar[tuple[str, ...]] = ("torch",)
    seconds: ClassVar[float] = 1.0

    def __init_subclass__(cls, **about: Any) -> None:
        """Take the four attributes as keywords of the class statement."""
        for name, value in about.items():
            setattr(cls, name, value)
        super().__init_subclass__()


@dataclass(frozen=True)
class Node:
    """One stage of one row in one fold, computed once per cache key.

    Attributes:
        id: unique label for logs and folders.
        inputs: ids of the nodes whose results the stage reads, by their role.
        row: name of the row, or empty for what all rows share; ``role`` is the row's.
        fit: seed of the generator's fit that the images come from; 0 without images.
        bracket, classifier, share: of a training; None or empty elsewhere.
        expected_seconds: for the progress bar and the order of starting.
    """

    id: str
    config: StageConfig
    inputs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    seed: int = 0
    fold: int = 0
    fit: int = 0
    row: str = ""
    role: str = ""
    bracket: int | None = None
    classifier: str = ""
    share: float | None = None
    expected_seconds: float = 1.0

    @property
    def stage(self) -> str:
        """Name of the stage."""
        return self.config.stage

    @property
    def needs(self) -> tuple[str, ...]:
        """Ids of all inputs."""
        return tuple(need for ids in self.inputs.values() for need in ids)

    @property
    def tags(self) -> dict[str, str]:
        """The fields that distinguish nodes of one stage, as text; fields without a value are absent."""
        tags = {
            "generator": self.row,
            "role": self.role,
            "fit": str(self.fit) if self.fit else "",
            "bracket": "" if self.bracket is None else str(self.bracket),
            "share": "" if self.share is None else f"{self.share:g}",
            "classifier": self.classifier,
            "seed": str(self.seed) if self.classifier else "",
        }
        return {name: value for name, value in tags.items() if value}


class Graph:
    """The nodes of a run, each after its inputs."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self.nodes = tuple(nodes)
        self._by_id = {node.id: node for node in self.nodes}

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def __len__(self) -> int:
        return len(self.nodes)

    def __getitem__(self, node_id: str) -> Node:
        return self._by_id[node_id]

    @cached_property
    def dependents(self) -> dict[str, tuple[str, ...]]:
        """Ids of the nodes that need each node, in the order of the graph."""
        after: dict[str, dict[str, None]] = {node.id: {} for node in self.nodes}
        for node in self.nodes:
            for need in node.needs:
                after[need][node.id] = None
        return {name: tuple(ids) for name, ids in after.items()}

    @cached_property
    def _places(self) -> dict[str, int]:
        return {node.id: place for place, node in enumerate(self.nodes)}

    def place(self, node_id: str) -> int:
        """Return the place of a node in the order of the graph."""
        return self._places[node_id]

    @cached_property
    def keys(self) -> dict[str, str]:
        """Cache key of every node: hash of stage, version, configuration, inputs' keys by role, and seed."""
        keys: dict[str, str] = {}
        for node in self.nodes:
            inputs = {role: [keys[need] for need in ids] for role, ids in node.inputs.items()}
            config = node.config.model_dump(mode="json")
            keys[node.id] = sha256_of([node.stage, node.config.version, config, inputs, node.seed])[:40]
        return keys

    def find(self, stage: str, row: str | None = None) -> list[Node]:
        """Return the nodes of a stage, of one row or of all, fold by fold."""
        return [n for n in self.nodes if n.stage == stage and row in (None, n.row)]

    def needed(self, wanted: Callable[[Node], bool]) -> Graph:
        """Return the graph of the wanted nodes and all that they need."""
        ids: set[str] = set()
        for node in reversed(self.nodes):
            if wanted(node) or node.id in ids:
                ids |= {node.id, *node.needs}
        return Graph(node for node in self.nodes if node.id in ids)

    def until(self, stages: Iterable[str], row: str | None = None) -> Graph:
        """Return the graph that ends in these stages, of one row or of all."""
        ends = set(stages)
        return self.needed(lambda node: node.stage in ends and row in (None, node.row))

    def longest_paths(self) -> dict[str, float]:
        """Return the expected seconds of the longest path from each node to the end."""
        longest = {node.id: node.expected_seconds for node in self.nodes}
        for node in reversed(self.nodes):
            for need in node.needs:
                longest[need] = max(longest[need], self[need].expected_seconds + longest[node.id])
        return longest
