"""Draws without favorites: every member of a pool equally often, in random order."""

from collections.abc import Sequence

import numpy as np


def spread(members: int, index: np.ndarray, seed: Sequence[int]) -> np.ndarray:
    """Return the member drawn at each position of an endless sequence.

    The sequence is a permutation of all members, then another, and so on. So a member repeats only after all
    have been drawn, and a position's member does not depend on how many are drawn.

    Args:
        members: size of the pool, at least 1.
        index: (N,) positions, 0 or more.
        seed: numbers that the permutations are drawn from.
    Returns:
        (N,) int64, 0 to ``members`` - 1.
    """
    drawn = np.empty(len(index), np.int64)
    rounds = index // members
    for number in np.unique(rounds):
        order = np.random.default_rng([*seed, int(number)]).permutation(members)
        here = rounds == number
        drawn[here] = order[index[here] % members]
    return drawn
