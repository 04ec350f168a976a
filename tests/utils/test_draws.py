"""Draws of a pool's members without favorites."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from benchmark.utils.draws import spread

SEED = st.lists(st.integers(0, 2**31), min_size=1, max_size=3)


@given(st.integers(1, 30), st.integers(0, 120), SEED)
def test_members_are_drawn_equally_often(members: int, count: int, seed: list[int]) -> None:
    """After every full round all members are drawn equally often; counts never differ by more than one."""
    drawn = spread(members, np.arange(count), seed)
    times = np.bincount(drawn, minlength=members)
    assert times.max() - times.min() <= 1
    rounds = drawn[: count - count % members].reshape(-1, members)
    assert (np.sort(rounds, axis=1) == np.arange(members)).all()


@given(st.integers(1, 30), st.lists(st.integers(0, 200), max_size=40), SEED)
def test_a_position_alone_decides_its_member(members: int, index: list[int], seed: list[int]) -> None:
    """Any positions, in any order, have the members that they have in the whole sequence."""
    whole = spread(members, np.arange(201), seed)
    assert spread(members, np.array(index, np.int64), seed).tolist() == whole[index].tolist()


def test_another_seed_gives_another_order() -> None:
    """Of 30 members two seeds agree at about one position, and the rounds of one seed differ."""
    one, two = (spread(30, np.arange(60), [seed]) for seed in (1, 2))
    assert (one == two).mean() < 0.2
    assert (one[:30] == one[30:]).mean() < 0.2
