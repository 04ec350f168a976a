"""Sentences about tests: over all rows, and of one row against the baselines."""

from collections.abc import Callable, Mapping

from benchmark.comparison import significance_records as significance
from benchmark.comparison.row_records import BaselineDifference, DeLong, Equivalence, McNemar
from benchmark.reporting.formats import measure_title, number, p_equals, percent, plus_minus
from benchmark.reporting.leaderboards.board import Board, BoardRow
from benchmark.utils.formatting import listed, plural, points, points_range, points_with_range

Item = tuple[str, str]  # a term and its text
MIN_BLOCKS = 10  # of Friedman's test, for a critical difference: fewer cannot tell rows apart


def kruskal_wallis(test: significance.KruskalWallis) -> str:
    """Result of the Kruskal-Wallis test."""
    if test.p is None:
        return f"Kruskal-Wallis test: not available, {test.reason}."
    return (
        f"Kruskal-Wallis test over {plural(test.n, 'training')}: H({test.df}) = {number(test.statistic)}, "
        f"{p_equals(test.p)}, ε² = {test.epsilon_squared:.2f}. It treats the trainings as independent draws "
        "and the test images as fixed."
    )


def friedman(test: significance.Friedman) -> str:
    """Result of Friedman's test, and with ten blocks or more the critical difference of mean ranks."""
    if test.p is None:
        return f"Friedman's test: not available, {test.reason}."
    verdict = "the rows differ" if test.p < test.alpha else "no significant difference between the rows"
    text = (
        f"Friedman's test over {plural(test.blocks, 'block')}: χ²({test.df}) = {number(test.statistic)}, "
        f"{p_equals(test.p)}, Kendall's W {test.kendall_w:.2f}; {verdict}."
    )
    if test.blocks < MIN_BLOCKS:
        return f"{text} A critical difference of mean ranks is given from {MIN_BLOCKS} blocks on."
    return (
        f"{text} Rows whose mean ranks are closer than {test.critical_difference:.2f} do not differ "
        f"significantly in Nemenyi's test at the {percent(test.alpha, 0)} level."
    )


def mean_ranks(test: significance.Friedman) -> str:
    """Mean ranks, and with ten blocks or more the groups of the critical-difference diagram."""
    ranks = sorted(test.mean_ranks.items(), key=lambda r: (r[1], r[0]))
    cliques = [listed(list(c)) for c in test.cliques if len(c) > 1] if test.blocks >= MIN_BLOCKS else []
    joined = f" No significant difference within: {'; '.join(cliques)}." if cliques else ""
    return f"Mean ranks, 1 is best: {', '.join(f'{name} {rank:.2f}' for name, rank in ranks)}.{joined}"


def associations(
    tests: Mapping[str, significance.Association], title: Callable[[str], str] = measure_title
) -> list[str]:
    """One sentence per measure with a rank correlation with utility, and one per reason for having none.

    Args:
        title: of a measure, by its name.
    """
    sentences: list[str] = []
    missing: dict[str | None, list[str]] = {}
    for name, test in sorted(tests.items()):
        if test.rho is None:
            missing.setdefault(test.reason, []).append(title(name))
            continue
        interval = f" ({test.reason})"
        if test.low is not None and test.high is not None:
            includes_zero = "" if test.low * test.high > 0 else ", which includes zero"
            interval = f" [{_signed(test.low)}, {_signed(test.high)}]{includes_zero}"
        sign = "negative" if test.expected_sign < 0 else "positive"
        sentences.append(
            f"{title(name)}: over {plural(test.n, 'generator')}, Spearman's ρ with the difference to "
            f"real_only is {_signed(test.rho)}{interval}, {p_equals(test.p)}; {sign} where fidelity predicts "
            "utility."
        )
    return sentences + [f"No rank correlation for {listed(names)}: {why}." for why, names in missing.items()]


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def power(record: significance.Power) -> list[str]:
    """The smallest detectable difference to real_only, one sentence per level of power."""
    sentences = []
    for level in record.levels:
        rows = [(own[str(level)], name) for name, own in record.rows.items() if str(level) in own]
        if rows:
            (least, first), (most, last) = min(rows), max(rows)
            span = (
                f"{_size(least)} points"
                if _size(least) == _size(most)
                else (f"{_size(least)} ({first}) to {_size(most)} points ({last})")
            )
            sentences.append(
                f"With {percent(level, 0)} power, the smallest detectable difference to real_only is {span}."
            )
    return sentences


def _size(difference: float) -> str:
    return points(difference).lstrip("+")


def equivalence(test: Equivalence) -> str:
    """Result of the two one-sided tests, and the posterior probabilities around the margin."""
    rope = test.rope
    return (
        f"The difference is {'' if test.equivalent else 'not '}shown to lie within {plus_minus(test.margin)} "
        f"points (two one-sided tests, {p_equals(test.p)}); {percent(rope.below, 0)} of its distribution is "
        f"below, {percent(rope.within, 0)} within and {percent(rope.above, 0)} above."
    )


def variance(record: significance.Variance) -> str:
    """Variance components of the runs, the largest first."""
    if record.reason is not None:
        return f"Variance components: not available, {record.reason}."
    components = sorted(record.components, key=lambda c: (-c.share, c.source))
    parts = [f"{c.source} {percent(c.share, 0)} (SD {100 * c.sd:.1f} points)" for c in components]
    return f"Variance components of {plural(record.n, 'value')}: {listed(parts)}."


def fits(board: Board) -> list[str]:
    """The primary metric of every fit of a row with several, and the sources of its interval's variance."""
    sentences = []
    for row in board.rows:
        figures = row.figures.metrics[board.metric.name] if row.figures else None
        if figures is None or figures.fit_values is None:
            continue
        values = [percent(v) if board.metric.percent else number(v) for v in figures.fit_values]
        text = f"{row.name}: {board.metric.noun} of its fits {listed(values)}"
        if own := figures.sources:
            text += (
                f"; of the variance of its mean, patients cause {percent(own.patients, 0)}, trainings "
                f"{percent(own.trainings, 0)} and fits {percent(own.fits, 0)}"
            )
        sentences.append(f"{text}.")
    return sentences


def needed(record: significance.Needed) -> str:
    """Number of runs or patients that would detect the observed difference."""
    numbers = [("run", record.runs), ("patient", record.patients)]
    enough = [plural(count, noun) for noun, count in numbers if count is not None]
    difference = f"a difference of {100 * record.difference:.1f} points"
    if not enough:
        return f"No study of this kind detects {difference}: {record.reason}."
    text = f"{' or '.join(enough)} to detect {difference}"
    return f"{text}; {record.reason}." if record.reason else f"{text}."


def row_tests(board: Board, row: BoardRow) -> list[Item]:
    """Every test of a row at the primary bracket; empty for a failed row.

    McNemar's test, DeLong's and the equivalence test are against real_only.
    """
    if row.figures is None:
        return []
    noun, name = board.metric.noun, board.metric.name
    items = [
        (f"Against {base}", f"{points_with_range(d[name], noun)}, {_adjusted(d[name])}")
        for base, d in row.figures.versus.items()
    ]
    if (difference := board.difference(row)) and difference.equivalence:
        items.append(("Equivalence", equivalence(difference.equivalence)))
        items.append(("Needed", needed(board.comparison.power.needed[row.name])))
    if row.figures.mcnemar:
        items += _mcnemar(row.figures.mcnemar)
    if row.figures.delong:
        items.append(("DeLong", _delong(row.figures.delong)))
    return items


def _adjusted(difference: BaselineDifference) -> str:
    """The adjusted p value, or the reason why there is none."""
    p = difference.p_adjusted
    return f"not tested: {difference.reason}" if p is None else f"adjusted {p_equals(p)}"


def _mcnemar(test: McNemar) -> list[Item]:
    if test.p is None:
        return [("McNemar", test.method)]
    by_patient = test.clustered
    return [
        (
            "McNemar",
            f"{test.gained} images gained, {test.lost} lost: adjusted {p_equals(test.p_adjusted)} "
            f"({test.method})",
        ),
        (
            "McNemar by patient",
            f"{plural(by_patient.patients, 'patient')}: adjusted {p_equals(by_patient.p_adjusted)} "
            f"({by_patient.method})",
        ),
    ]


def _delong(test: DeLong) -> str:
    """Result of DeLong's test of the scores averaged over trainings."""
    if test.low is None:
        return f"{number(100 * test.difference)} points of AUROC ({test.reason})"
    reason = [test.reason] if test.reason else []
    results = listed(["adjusted " + p_equals(test.p_adjusted), *reason])
    return f"{points(test.difference)} points of AUROC {points_range(test)}, {results}"
