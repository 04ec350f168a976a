"""Tie groups."""

from hypothesis import given
from hypothesis import strategies as st

from benchmark.comparison.ranking import ranks


def test_not_distinguishable_is_not_transitive():
    """A beats C, and B differs from neither: A and B share rank 1, C has rank 2."""
    assert ranks(["a", "b", "c"], {("a", "c"): True}) == {"a": 1, "b": 1, "c": 2}


def test_nothing_significant_is_one_tie_group():
    """Without a significant pair all rows have rank 1."""
    assert ranks(["a", "b", "c"], {}) == {"a": 1, "b": 1, "c": 1}


def test_a_full_order():
    """If every pair is significant, ranks are 1, 2, 3."""
    assert ranks(["a", "b", "c"], {("a", "b"): True, ("b", "c"): True, ("a", "c"): True}) == {
        "a": 1,
        "b": 2,
        "c": 3,
    }


def test_a_chain_keeps_a_beaten_row_out_of_the_winners_group():
    """D beats A and A beats C, but D and the variable C do not differ: C still ranks below A."""
    assert ranks(["d", "a", "c"], {("d", "a"): True, ("a", "c"): True}) == {"d": 1, "a": 2, "c": 3}


@given(st.sets(st.tuples(st.integers(0, 6), st.integers(0, 6)).filter(lambda p: p[0] < p[1])))
def test_rows_of_one_rank_do_not_differ(pairs):
    """For any wins of rows with higher means, a winner has the smaller rank."""
    names = [f"r{i}" for i in range(7)]
    result = ranks(names, {(names[a], names[b]): True for a, b in pairs})
    assert all(result[names[a]] < result[names[b]] for a, b in pairs)
    assert min(result.values()) == 1
