"""Compact letter display: which rows were not told apart."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import combinations
from string import ascii_letters

EXTENDED = 0x100  # Latin letters with marks follow a to z and A to Z, so that a letter stays one character


def letters(
    names_best_first: Sequence[str], different: Collection[frozenset[str] | tuple[str, str]]
) -> dict[str, str]:
    """Letters such that two rows share one exactly when they were not told apart.

    A letter stands for a largest group of rows of which no two differ. Groups that say nothing that the
    others do not say already are left out.

    Args:
        names_best_first: the rows; ``a`` goes to a group of the first.
        different: the pairs that were told apart, in any order.
    Returns:
        The letters of every row, in alphabetical order, at least one each.
    Raises:
        KeyError: a pair names a row that is not there.
    Source: insert and absorb of Piepho 2004, J. Comput. Graph. Stat. 13:456-466.
    """
    place = {name: i for i, name in enumerate(names_best_first)}
    pairs = {frozenset(place[name] for name in pair) for pair in different}
    groups = _without_redundant(_largest_groups(len(place), pairs))
    return {name: "".join(_letter(i) for i, g in enumerate(groups) if place[name] in g) for name in place}


def _largest_groups(n: int, pairs: Iterable[frozenset[int]]) -> list[frozenset[int]]:
    """Every largest set of rows without a differing pair, the one with the best rows first."""
    groups = {frozenset(range(n))}
    for pair in sorted(pairs, key=sorted):
        split = {g for g in groups if pair <= g}
        inserted = {g - {row} for g in split for row in pair}
        kept = groups - split
        groups = kept | {g for g in inserted if not any(g < other for other in kept | inserted)}
    return sorted(groups, key=sorted)


def _without_redundant(groups: list[frozenset[int]]) -> list[frozenset[int]]:
    """Drop groups whose rows and pairs the others hold, smallest first."""
    kept = list(groups)
    for group in sorted(groups, key=len):
        others = [g for g in kept if g != group]
        needed: list[tuple[int, ...]] = [*combinations(sorted(group), 1), *combinations(sorted(group), 2)]
        if all(any(g.issuperset(need) for g in others) for need in needed):
            kept = others
    return kept


def _letter(i: int) -> str:
    return ascii_letters[i] if i < len(ascii_letters) else chr(EXTENDED + i - len(ascii_letters))
