"""Ranks as tie groups, from pairwise paired comparisons."""

from collections.abc import Collection, Mapping, Sequence
from itertools import combinations

from benchmark.comparison.aligned_rows import AlignedRows
from benchmark.comparison.compared_rows import ComparedRows
from benchmark.comparison.controls import DERIVED
from benchmark.comparison.records import RankedPair, RankedRow, Ranking
from benchmark.comparison.row_records import RowFigures
from benchmark.comparison.significance_tests import add_adjusted, below, letters_of

Pair = tuple[str, str]
SAW_TEST = {
    "images": "had access to the test images",
    "labels": "had access to the test labels",
    "both": "had access to the test images and labels",
}


def ranking(aligned: AlignedRows, compared: ComparedRows, figures: Mapping[str, RowFigures]) -> Ranking:
    """Rank the complete rows at the primary bracket of ``test``.

    Rows that copy patients get no rank, except for controls made from training images; nor do rows whose
    authors had access to the test.
    """
    protocol = aligned.protocol
    unranked = dict.fromkeys(aligned.failed(), "failed")
    for name, (row, _) in compared.rows.items():
        if row.memorization and row.memorization["gated"] and name not in DERIVED:
            unranked[name] = "copies training images"
        elif row.test_access != "none":
            unranked[name] = SAW_TEST[row.test_access.partition(":")[0]]
    names = [n for n in compared.rows if n not in unranked]
    pairs = _pairs(compared, names)
    wins = {
        (pair.a, pair.b) if pair.estimate > 0 else (pair.b, pair.a)
        for pair in pairs
        if below(pair.p_adjusted, protocol.alpha)
    }
    rank = ranks(names, wins)
    means = {n: figures[n].metrics[protocol.primary.name].estimate for n in names}
    letters = letters_of(means, [pair.to_json() for pair in pairs], protocol.alpha)
    rows = {
        n: RankedRow(
            rank=rank[n], letters=letters[n], tied_with=[m for m in names if m != n and rank[m] == rank[n]]
        )
        for n in names
    }
    return Ranking(rows=rows, unranked=unranked, pairs=pairs, compared=len(pairs))


def _pairs(compared: ComparedRows, names: Sequence[str]) -> list[RankedPair]:
    records = []
    for a, b in combinations(names, 2):
        d = compared.primary.difference(a, b)
        own = {name: getattr(d, name) for name in ("estimate", "low", "high", "reason", "p")}
        records.append({"a": a, "b": b, **own})
    add_adjusted(records, compared.protocol.correction)
    return [RankedPair(**{k: v for k, v in record.items() if k != "p"}) for record in records]


def ranks(names: Sequence[str], wins: Collection[Pair]) -> dict[str, int]:
    """Return the rank of every row: 1 + the number of rows that are better, directly or through a chain.

    "Not distinguishable" is not transitive: A may beat C while B differs from neither. Then A and B share
    rank 1 and C has rank 2. Chains count because significance is not transitive either: D beats A, A beats
    C, but C is so variable that D against C is not significant. Without chains, A and C could share a rank
    although A beats C. So two rows of one rank never differ significantly, while two rows of different rank
    may not differ either.

    Args:
        wins: pairs whose first row is significantly better; without cycles, which holds when a win implies
            the higher mean.
    """
    better: dict[str, set[str]] = {}

    def above(row: str) -> set[str]:
        if row not in better:
            direct = [a for a, b in wins if b == row]
            better[row] = set(direct).union(*map(above, direct))
        return better[row]

    return {name: 1 + len(above(name)) for name in names}
