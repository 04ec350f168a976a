"""Ranks as tie groups, from pairwise paired comparisons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def better_than(names: Sequence[str], wins: Mapping[tuple[str, str], bool]) -> dict[str, set[str]]:
    """For every row, the rows that are better, directly or through a chain of wins.

    Args:
        names: the rows.
        wins: ``wins[a, b]`` is True when a is significantly better than b; without cycles, which
            holds when a win implies the higher mean.
    """
    above = {b: {a for a in names if wins.get((a, b), False)} for b in names}
    changed = True
    while changed:
        changed = False
        for b in names:
            through = set().union(*(above[a] for a in above[b])) - above[b] if above[b] else set()
            if through:
                above[b] |= through
                changed = True
    return above


def ranks(names: Sequence[str], wins: Mapping[tuple[str, str], bool]) -> dict[str, int]:
    """Rank of a row: 1 + the number of rows that are better, directly or through a chain.

    "Not distinguishable" is not transitive: A may beat C while B can be told from neither. Then A and
    B share rank 1 and C has rank 2. Chains are followed because significance is not transitive either
    (D beats A, A beats C, but C is so variable that D against C is not significant); without them A
    and C could share a rank although A beats C. So two rows of one rank were never told apart, while
    two rows of different rank need not have been told apart from each other.
    """
    return {name: 1 + len(above) for name, above in better_than(names, wins).items()}
