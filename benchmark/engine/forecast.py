"""How long the nodes of a graph take, learned while it runs, and the order in which they are started."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from benchmark.engine.node import Node, weights_left

# Standard deviations of the logarithm of seconds, before anything has run: how far this machine is from the
# guesses, a stage from the others, one of its tags (a classifier, a bracket, a generator) from its stage,
# their combination from their sum, and one node from the next of the same kind.
HERE, STAGE, TAG, KIND, NODE = 3.0, 2.0, 0.7, 0.3, 0.2
ALIKE = ("seed", "fold", "role")  # tags in which nodes of one kind differ


def kind(node: Node) -> tuple[str, ...]:
    """The stage and the tags that decide how long a node takes, its repetitions left out."""
    return (node.stage, *(f"{k}={v}" for k, v in sorted(node.tags.items()) if k not in ALIKE))


def start_order(nodes: Iterable[Node]) -> dict[str, int]:
    """The place of every node in the order of starting; of the nodes that could run, the first one does.

    The longest expected path to the end goes first, since it bounds the whole. Ahead of that goes the first
    training with each tag (a classifier, a bracket, a row), and any other node that nothing waits for: a
    few minutes, after which the time that all the others will take is known. The repetitions of a kind come
    last among equals for the same reason.
    """
    ordered = list(nodes)
    rank, awaited = weights_left(ordered), {need for n in ordered for need in n.needs}
    met: set[str] = set()
    times: dict[tuple[str, ...], int] = {}
    key = {}
    for place, node in enumerate(ordered):
        tags = {f"{node.stage} {t}" for t in kind(node)}
        pilot = node.id not in awaited and not tags <= met
        times[kind(node)] = times.get(kind(node), -1) + 1
        met |= tags
        key[node.id] = (not pilot, -rank[node.id], times[kind(node)], place)
    return {name: i for i, name in enumerate(sorted(key, key=key.__getitem__))}


class Durations:
    """Expected seconds of every node: its guess, times what its stage, tags and kind turn out to cost.

    A Bayesian linear regression of log(seconds / guess) on indicators, whose prior variances are the
    constants above: a kind that has run speaks for itself, one that has not borrows from what shares its
    classifier or its bracket. Nodes reused from an earlier run count too, but not for this machine's pace.
    """

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.at = {n.id: i for i, n in enumerate(nodes)}
        self.log_guess = np.log([max(n.guess, 1e-3) for n in nodes])
        effects: dict[str, float] = {"here": HERE}
        for node in nodes:
            stage, *tags = kind(node)
            effects |= {stage: STAGE, **{f"{stage} {t}": TAG for t in tags}, " ".join(kind(node)): KIND}
        column = {name: i for i, name in enumerate(effects)}
        self.prior = np.array([sd**-2 for sd in effects.values()])
        self.design = np.zeros((len(nodes), len(effects)))
        for i, node in enumerate(nodes):
            stage, *tags = kind(node)
            mine = ("here", stage, *(f"{stage} {t}" for t in tags), " ".join(kind(node)))
            self.design[i, [column[name] for name in mine]] = 1.0
        self.seen: dict[str, tuple[float, bool]] = {}

    def learn(self, node_id: str, seconds: float, *, here: bool = True) -> None:
        """A node took so many seconds, in this run or in an earlier one."""
        self.seen[node_id] = (max(seconds, 1e-3), here)

    def expected(self, running: Mapping[str, tuple[float, float]]) -> dict[str, float]:
        """Seconds of every node.

        Args:
            running: by node id, the seconds that it seems to need, and its share done, which weighs them.
        """
        known = [(n, s, 1.0, here) for n, (s, here) in self.seen.items()]
        known += [(n, s, share, True) for n, (s, share) in running.items() if share > 0]
        if not known:
            return dict(zip(self.at, np.exp(self.log_guess).tolist(), strict=True))
        rows = np.array([self.at[n] for n, *_ in known])
        design = self.design[rows]
        design[:, 0] = [here for *_, here in known]
        seconds, weight = np.array([s for _, s, *_ in known]), np.array([w for *_, w, _ in known])
        target = np.log(seconds) - self.log_guess[rows]
        weighted = design.T * (weight / NODE**2)
        effect = np.linalg.solve(weighted @ design + np.diag(self.prior), weighted @ target)
        # A mean of logarithms lies below the logarithm of the mean (smearing, Duan 1983).
        fitted = np.exp(design @ effect + self.log_guess[rows])
        smear = (weight @ seconds) / (weight @ fitted)
        found = np.exp(self.design @ effect + self.log_guess) * smear
        return dict(zip(self.at, found.tolist(), strict=True))


def play(
    seconds: Mapping[str, float],
    running: Mapping[str, float],
    needs: Mapping[str, Sequence[str]],
    order: Mapping[str, int],
    workers: int,
) -> float:
    """Wall seconds until the end, by playing the rest of the graph forward.

    Args:
        seconds: of the nodes that wait.
        running: seconds that the running nodes still need.
        needs: what each node waits for; what is in neither of the two above is done.
        order: of starting, see ``start_order``.
        workers: how many run at once.
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
