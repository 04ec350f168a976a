"""Compact letter display: rows that no test tells apart share a letter.

scikit-posthocs has ``compact_letter_display``, which needs more letters than necessary for some patterns of
differences and allows 52 at most. Tests compare both.
"""

from collections.abc import Collection, Iterable, Sequence
from itertools import combinations
from string import ascii_letters

EXTENDED = 0x100  # Latin letters with diacritics follow a to z and A to Z, so that a letter is one character


def letters(
    names_best_first: Sequence[str], different: Collection[frozenset[str] | tuple[str, str]]
) -> dict[str, str]:
    """Assign letters such that two rows share one if and only if they do not differ significantly.

    A letter stands for a largest group of rows of which no two differ. Redundant groups are dropped.

    Args:
        names_best_first: the rows; ``a`` goes to a group of the first.
        different: the pairs that differ significantly, in any order.
    Returns:
        The letters of every row, in alphabetical order, at least one each.
    Raises:
        KeyError: a pair names an unknown row.
    Source: insert and absorb of Piepho 2004, J. Comput. Graph. Stat. 13:456-466.
    """
    index = {name: i for i, name in enumerate(names_best_first)}
    pairs = {frozenset(index[name] for name in pair) for pair in different}
    groups = _without_redundant(_largest_groups(len(index), pairs))
    return {
        name: "".join(_letter(g) for g, rows in enumerate(groups) if i in rows) for name, i in index.items()
    }


def _largest_groups(n: int, pairs: Iterable[frozenset[int]]) -> list[frozenset[int]]:
    """Every largest set of rows without a differing pair, the one with the best rows first."""
    groups = {frozenset(range(n))}
    for pair in sorted(pairs, key=sorted):
        split = {g for g in groups if pair <= g}
        inserted = {g - {row} for g in split for row in pair}
        whole = groups - split
        groups = whole | {g for g in inserted if not any(g < other for other in whole | inserted)}
    return sorted(groups, key=sorted)


def _without_redundant(groups: list[frozenset[int]]) -> list[frozenset[int]]:
    """Drop groups, smallest first, whose rows and pairs all occur in other groups."""
    retained = list(groups)
    for group in sorted(groups, key=len):
        others = [g for g in retained if g != group]
        parts: list[tuple[int, ...]] = [*combinations(sorted(group), 1), *combinations(sorted(group), 2)]
        if all(any(g.issuperset(part) for g in others) for part in parts):
            retained = others
    return retained


def _letter(i: int) -> str:
    return ascii_letters[i] if i < len(ascii_letters) else chr(EXTENDED + i - len(ascii_letters))
