"""Nodes of the stage graph, their content addresses and their order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmark.utils.hashing import sha256_of

STAGE_VERSION = {
    "data": "2",
    "pseudo_label": "3",
    "reference": "2",
    "fit": "2",
    "generate": "2",
    "measure": "3",
    "classify": "4",
    "curve": "1",
    "select": "1",
    "filter": "1",
    "gan_test": "1",
}


@dataclass(frozen=True)
class Node:
    """One stage of one row in one fold: computed once per key.

    ``local`` is needed to compute it here and is no part of its key: paths and import targets.
    """

    id: str
    stage: str
    config: Mapping[str, Any]
    needs: tuple[str, ...] = ()
    seed: int = 0
    row: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    local: Mapping[str, Any] = field(default_factory=dict)
    guess: float = 1.0
    fold: int = 0


def without_fold(node_id: str) -> str:
    """The id of a node as it is without folds: ``fit/ddpm`` of ``fit/ddpm@2``."""
    return node_id.partition("@")[0]


def keys(nodes: Iterable[Node]) -> dict[str, str]:
    """The content address of every node: a hash of code version, configuration, inputs' keys and seed."""
    found: dict[str, str] = {}
    for node in nodes:
        inputs = [found[n] for n in node.needs]
        found[node.id] = sha256_of(
            [node.stage, STAGE_VERSION[node.stage], dict(node.config), inputs, node.seed]
        )[:40]
    return found


def needed(nodes: Iterable[Node], stages: Iterable[str], row: str | None = None) -> list[Node]:
    """The nodes of these stages, of one row or of all, and whatever they need, in the order given."""
    ordered, wanted = list(nodes), set(stages)
    found: set[str] = set()
    for node in reversed(ordered):
        if (node.stage in wanted and row in (None, node.row)) or node.id in found:
            found |= {node.id, *node.needs}
    return [node for node in ordered if node.id in found]


def weights_left(nodes: Iterable[Node]) -> dict[str, float]:
    """Longest expected path from each node to the end: what to start first."""
    ordered = list(nodes)
    guess = {n.id: n.guess for n in ordered}
    longest = dict(guess)
    for node in reversed(ordered):
        for need in node.needs:
            longest[need] = max(longest[need], guess[need] + longest[node.id])
    return longest
