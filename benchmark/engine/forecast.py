"""Expected duration of the nodes of a graph, learned while it runs, and the order in which they start."""

import heapq
from collections.abc import Mapping, Sequence

import numpy as np

from benchmark.engine.node import Graph, Node

# Standard deviations of log seconds before any node has run: this machine against the expected seconds, a
# stage against the others, one of its tags (a classifier, a bracket, a generator) against its stage, their
# combination against their sum, and one node against the next of the same kind.
HERE, STAGE, TAG, KIND, NODE = 3.0, 2.0, 0.7, 0.3, 0.2
TAGS = ("bracket", "classifier", "generator", "share")  # the tags that decide how long a node takes


def kind(node: Node) -> tuple[str, ...]:
    """Return the stage and the tags that decide how long a node takes; repetitions share one kind."""
    tags = node.tags
    return (node.stage, *(f"{name}={tags[name]}" for name in TAGS if name in tags))


def start_order(graph: Graph) -> dict[str, int]:
    """Return the place of every node in the order of starting; the first node that could run does.

    The longest expected path to the end goes first, since it bounds the whole. Before it goes the first
    training with each tag (a classifier, a bracket, a row), and any other node that no node waits for: after
    a few minutes the duration of all the others is known. Repetitions of a kind come last among equals for
    the same reason.
    """
    longest, awaited = graph.longest_paths(), {need for node in graph for need in node.needs}
    seen: set[str] = set()
    repetitions: dict[tuple[str, ...], int] = {}
    key = {}
    for place, node in enumerate(graph):
        tags = {f"{node.stage} {tag}" for tag in kind(node)}
        pilot = node.id not in awaited and not tags <= seen
        repetitions[kind(node)] = repetitions.get(kind(node), -1) + 1
        seen |= tags
        key[node.id] = (not pilot, -longest[node.id], repetitions[kind(node)], place)
    return {name: i for i, name in enumerate(sorted(key, key=key.__getitem__))}


def _effects(of_kind: tuple[str, ...]) -> dict[str, float]:
    """Return the effects that a duration is a sum of (``here`` first) and their prior deviations."""
    stage, *tags = of_kind
    return {"here": HERE, stage: STAGE, **{f"{stage} {t}": TAG for t in tags}, " ".join(of_kind): KIND}


class Durations:
    """Expected seconds of every node: the prior ones, corrected by what its stage, tags and kind cost.

    A Bayesian linear regression of log(seconds / prior seconds) on indicators, whose prior variances are the
    constants above. A kind that has run determines its own estimate; one that has not borrows from the nodes
    that share its classifier or its bracket. Nodes reused from an earlier run count too, except for the
    speed of this machine.
    """

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.index = {n.id: i for i, n in enumerate(nodes)}
        self.log_prior = np.log([max(n.expected_seconds, 1e-3) for n in nodes])
        kinds: dict[tuple[str, ...], int] = {}
        self.kind = np.array([kinds.setdefault(kind(n), len(kinds)) for n in nodes], dtype=int)
        own = [_effects(each) for each in kinds]
        effects = {name: deviation for each in own for name, deviation in each.items()}
        column = {name: i for i, name in enumerate(effects)}
        self.prior = np.array([deviation**-2 for deviation in effects.values()])
        self.design = np.zeros((len(kinds), len(effects)))  # nodes of one kind share a row
        for i, each in enumerate(own):
            self.design[i, [column[name] for name in each]] = 1.0
        self.seen: dict[str, tuple[float, bool]] = {}

    def learn(self, node_id: str, seconds: float, *, here: bool = True) -> None:
        """Record the seconds of a node, in this run or in an earlier one."""
        self.seen[node_id] = (max(seconds, 1e-3), here)

    def expected(self, running: Mapping[str, tuple[float, float]]) -> dict[str, float]:
        """Return the expected seconds of every node.

        Args:
            running: by node id, the seconds that it seems to need, and its share done, which weighs them.
        """
        known = [(n, s, 1.0, here) for n, (s, here) in self.seen.items()]
        known += [(n, s, share, True) for n, (s, share) in running.items() if share > 0]
        if not known:
            return dict(zip(self.index, np.exp(self.log_prior).tolist(), strict=True))
        nodes = np.array([self.index[n] for n, *_ in known])
        seconds, weight = np.array([s for _, s, *_ in known]), np.array([w for *_, w, _ in known])
        here = np.array([is_here for *_, is_here in known], dtype=int)
        count = len(self.design)
        rows = self.kind[nodes] + count * (1 - here)  # kinds here, then kinds elsewhere
        design = np.concatenate([self.design, self.design])
        design[:, 0] = np.arange(2 * count) < count
        target = np.log(seconds) - self.log_prior[nodes]
        total = np.bincount(rows, weight, 2 * count) / NODE**2
        weighted = design.T @ (np.bincount(rows, weight * target, 2 * count) / NODE**2)
        effect = np.linalg.solve((design.T * total) @ design + np.diag(self.prior), weighted)
        # A mean of logarithms lies below the logarithm of the mean (smearing, Duan 1983).
        by_row = design @ effect
        fitted = np.exp(by_row[rows] + self.log_prior[nodes])
        smear = (weight @ seconds) / (weight @ fitted)
        expected = np.exp(by_row[self.kind] + self.log_prior) * smear
        return dict(zip(self.index, expected.tolist(), strict=True))


def simulate(
    seconds: Mapping[str, float],
    running: Mapping[str, float],
    needs: Mapping[str, Sequence[str]],
    order: Mapping[str, int],
    workers: int,
) -> float:
    """Return the wall seconds until the end, by simulating the rest of the graph.

    Args:
        seconds: of the waiting nodes.
        running: seconds that the running nodes still need.
        needs: the inputs of each node; a node in neither of the two above is done.
        order: of starting, see ``start_order``.
        workers: how many nodes run at once.
    """
    unfinished = seconds.keys() | running.keys()
    missing = {n: sum(m in unfinished for m in needs[n]) for n in seconds}
    after: dict[str, list[str]] = {}
    for n in seconds:
        for m in needs[n]:
            after.setdefault(m, []).append(n)
    ready = [(order[n], n) for n in seconds if not missing[n]]
    ends = [(left, n) for n, left in running.items()]
    heapq.heapify(ready)
    heapq.heapify(ends)
    now = 0.0
    while ends or ready:
        while ready and len(ends) < workers:
            n = heapq.heappop(ready)[1]
            heapq.heappush(ends, (now + seconds[n], n))
        now, done = heapq.heappop(ends)
        for n in after.get(done, ()):
            missing[n] -= 1
            if not missing[n]:
                heapq.heappush(ready, (order[n], n))
    return now
