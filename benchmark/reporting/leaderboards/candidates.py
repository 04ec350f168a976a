"""The verdict on a board, and the ranks of its candidates: the rows that are no references."""

from collections.abc import Collection, Iterable, Sequence

from benchmark.comparison.controls import COPIES
from benchmark.comparison.ranking import ranks
from benchmark.comparison.records import Comparison
from benchmark.comparison.row_records import BaselineDifference
from benchmark.comparison.significance_tests import below
from benchmark.reporting.leaderboards.board_parts import BoardRow
from benchmark.reporting.leaderboards.findings import Finding
from benchmark.utils.formatting import listed, points, points_with_range

BASELINES = {COPIES: "copies of real images", "real_only": "real images alone"}


def places(comparison: Comparison, candidates: Collection[str]) -> dict[str, int]:
    """Return 1 + the number of significantly better candidates of every candidate that has a rank.

    The tests and their correction are those of all rows; references only do not count.
    """
    ranking, alpha = comparison.ranking, comparison.settings.alpha
    names = [name for name in ranking.rows if name in candidates]
    wins = {
        (pair.a, pair.b) if pair.estimate > 0 else (pair.b, pair.a)
        for pair in ranking.pairs
        if pair.a in names and pair.b in names and below(pair.p_adjusted, alpha)
    }
    return ranks(names, wins)


def verdict(rows: Iterable[BoardRow], comparison: Comparison) -> Finding:
    """Answer in one sentence whether a generator beats copies of real images.

    Without the copies the baseline is ``real_only``. A board whose controls fail has no verdict. Classical
    augmentation is judged only where no generator is on the board.
    """
    if reason := _unusable(comparison):
        return Finding("bad", f"No verdict: {reason}.")
    candidates = [row for row in rows if row.kind != "reference"]
    generators = [row for row in candidates if row.kind == "generator"] or candidates
    noun = "generator" if any(row.kind == "generator" for row in generators) else "augmentation"
    if not generators:
        return Finding("plain", "No generator is on this board.")
    judged = [row for row in generators if row.figures and not row.unranked]
    if not judged:
        reasons = listed(sorted({row.unranked or row.absence for row in generators}))
        return Finding("bad", f"No {noun} can be judged: {reasons}.")
    return _against_baseline(judged, noun, comparison)


def _unusable(comparison: Comparison) -> str:
    """Return why the board cannot answer, or an empty text."""
    if comparison.can_measure is False:
        return f"not even additional true images beat {comparison.settings.yardstick} at this size"
    failed = [c.claim for c in comparison.controls if c.decisive and c.held is False]
    return f"a control failed ({failed[0]})" if failed else ""


def _against_baseline(judged: Sequence[BoardRow], noun: str, comparison: Comparison) -> Finding:
    metric, alpha = comparison.settings.primary_metric.name, comparison.settings.alpha
    for base, words in BASELINES.items():
        own = {r.name: d for r in judged if r.figures and (d := r.figures.versus.get(base, {}).get(metric))}
        if own:
            return _outcome(own, noun, words, alpha)
    return Finding("plain", f"No {noun} has a baseline to be compared with.")


def _outcome(own: dict[str, BaselineDifference], noun: str, words: str, alpha: float) -> Finding:
    better = {n: d for n, d in own.items() if d.estimate > 0 and below(d.p_adjusted, alpha)}
    if better:
        names = listed([f"{n} ({points_with_range(d)})" for n, d in sorted(better.items())])
        return Finding("good", f"{names} {'beats' if len(better) == 1 else 'beat'} {words}.")
    text = f"No {noun} beats {words}"
    most = max(((d.high, name) for name, d in own.items() if d.high is not None), default=None)
    if most is None:
        return Finding("plain", f"{text}; no interval shows what gain could have been missed.")
    if most[0] <= 0:
        return Finding("bad", f"{text}, and no interval includes a gain.")
    gain = points(most[0]).lstrip("+")
    return Finding(
        "plain", f"{text}; the largest gain that could have been missed is {gain} points ({most[1]})."
    )
