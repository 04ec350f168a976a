"""Compact letter display against published examples, minimal displays, and its defining property."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scikit_posthocs import compact_letter_display

from benchmark.statistics.letters import letters


@st.composite
def rows_and_differences(draw):
    """Draw up to nine rows and any set of differing pairs, transitive or not."""
    names = [f"r{i}" for i in range(draw(st.integers(1, 9)))]
    pairs = list(combinations(names, 2))
    return names, draw(st.sets(st.sampled_from(pairs))) if pairs else set()


@settings(max_examples=200, deadline=None)
@given(rows_and_differences())
def test_rows_share_a_letter_exactly_when_they_do_not_differ(case):
    """For any pattern of differences, rows share a letter if and only if they do not differ; every row has a
    letter."""
    names, different = case
    result = letters(names, different)
    assert all(result[name] for name in names)
    for pair in combinations(names, 2):
        assert bool(set(result[pair[0]]) & set(result[pair[1]])) == (pair not in different)


@settings(max_examples=100, deadline=None)
@given(rows_and_differences())
def test_no_letter_is_redundant(case):
    """Removing any letter leaves a row without a letter or a pair without a common one."""
    names, different = case
    result = letters(names, different)
    alike = [(n,) for n in names] + [p for p in combinations(names, 2) if p not in different]
    for letter in set("".join(result.values())):
        left = {name: set(own) - {letter} for name, own in result.items()}
        assert not all(set.intersection(*(left[n] for n in group)) for group in alike)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0, 10), min_size=1, max_size=12), st.floats(0.1, 5))
def test_ordered_rows_have_the_display_of_the_outside_reference(means, least):
    """If rows differ from a distance on, as with a critical difference, the letters are those of
    scikit-posthocs."""
    means = sorted(means, reverse=True)
    names = [f"r{i}" for i in range(len(means))]
    apart = np.abs(np.subtract.outer(means, means)) >= least
    result = letters(
        names, {(names[i], names[j]) for i, j in combinations(range(len(means)), 2) if apart[i, j]}
    )
    reference = compact_letter_display(np.where(apart, 0.0, 1.0), names=names)
    assert result == {name: reference[name].replace(" ", "") for name in names}


def test_example_of_the_outside_documentation():
    """Example dif3 of R's multcompView (by Piepho among others): of A, B and C only B and C differ."""
    assert letters("ABC", [("B", "C")]) == {"A": "ab", "B": "a", "C": "b"}


def test_published_example():
    """Gramm et al. 2006, Fig. 2: five treatments that differ in 1-5, 2-3, 2-5, 3-5 need three letters."""
    result = letters("12345", [("1", "5"), ("2", "3"), ("2", "5"), ("3", "5")])
    assert result == {"1": "ab", "2": "a", "3": "b", "4": "abc", "5": "c"}


def test_example_of_demsar():
    """Demsar 2006, section 3.2.2 and Fig. 1(a), at 10 %: C4.5 differs from two; cf belongs to both groups."""
    result = letters(["m+cf", "m", "cf", "c4.5"], [("m+cf", "c4.5"), ("m", "c4.5")])
    assert result == {"m+cf": "a", "m": "a", "cf": "ab", "c4.5": "b"}


def test_three_letters_suffice_for_the_sun():
    """A triangle of equal rows with one more equal row per side needs three letters; insert-and-absorb gives
    four."""
    alike = {frozenset(p) for t in ("abd", "bce", "acf") for p in combinations(t, 2)}
    different = [p for p in combinations("abcdef", 2) if frozenset(p) not in alike]
    assert letters("abcdef", different) == {"a": "ab", "b": "ac", "c": "bc", "d": "a", "e": "c", "f": "b"}


def test_pairs_may_be_tuples_or_sets_in_any_order():
    """The order within and of the pairs has no effect."""
    assert (
        letters("abc", [("c", "a")]) == letters("abc", {frozenset("ac")}) == {"a": "a", "b": "ab", "c": "b"}
    )


def test_letters_beyond_z_are_single_characters():
    """Sixty rows that all differ have sixty single-character letters, a to z and A to Z first."""
    names = [str(i) for i in range(60)]
    result = letters(names, list(combinations(names, 2)))
    assert "".join(result.values()).startswith("abcdefghijklmnopqrstuvwxyzABC")
    assert len(set(result.values())) == 60
    assert all(len(own) == 1 and own.isalpha() for own in result.values())


@pytest.mark.parametrize(("names", "expected"), [([], {}), (["a"], {"a": "a"})])
def test_few_rows(names, expected):
    """No row gives no letters; one row has one."""
    assert letters(names, []) == expected


def test_an_unknown_row_is_an_error():
    """A pair with an unknown row is an error."""
    with pytest.raises(KeyError, match="z"):
        letters("ab", [("a", "z")])
