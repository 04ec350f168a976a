"""The inflation of a row that repeated seeds detect on a board, beside the largest honest gain there."""

from collections.abc import Mapping
from statistics import fmean

from benchmark.reporting.leaderboards.board import Board
from benchmark.statistics.repeats import (
    POWER,
    RELEVANT,
    Spread,
    detectable_inflation,
    pooled_spread,
    required_repeats,
)

CEILING, BASELINE = "oracle", "real_only"


def repeats(board: Board) -> str:
    """Return a sentence on what ``verify --deep`` can detect on a board; empty with one seed or one row."""
    seeds = len(board.head.seeds)
    spread = pooled_spread([list(values.values()) for values in seed_values(board).values()])
    if spread is None or seeds < 2:
        return ""
    k = required_repeats(spread, seeds)
    smallest = detectable_inflation(Spread(spread.value, spread.df + k - 1), seeds, k)
    text = (
        f"To repeat {k} of {seeds} seeds (verify --deep) detects an inflation of a row by "
        f"{100 * smallest:.1f} points with {100 * POWER:.0f} % power, at a spread of "
        f"{100 * spread.value:.1f} points between seeds (df {spread.df})"
    )
    if smallest > RELEVANT:
        text += f": no number of repeated seeds detects {100 * RELEVANT:.0f} points here"
    gain = largest_honest_gain(board)
    return text + ("." if gain is None else f"; {CEILING} gains {100 * gain:+.1f} points over {BASELINE}.")


def seed_values(board: Board) -> dict[str, Mapping[int, float]]:
    """Return the primary metric of every row at the primary bracket, by seed: means over classifiers."""
    metric, runs = board.comparison.settings.primary_metric.name, board.comparison.splits["test"].runs
    values: dict[str, Mapping[int, float]] = {}
    for name, figures in board.comparison.primary.items():
        own: dict[int, list[float]] = {}
        for run, value in zip(runs, figures.metrics[metric].run_values, strict=True):
            own.setdefault(run.seed, []).append(value)
        values[name] = {seed: fmean(v) for seed, v in sorted(own.items())}
    return values


def largest_honest_gain(board: Board) -> float | None:
    """Return the gain of additional true images; None without the two controls."""
    metric, rows = board.comparison.settings.primary_metric.name, board.comparison.primary
    if not {CEILING, BASELINE} <= rows.keys():
        return None
    ceiling, baseline = (rows[name].metrics[metric].estimate for name in (CEILING, BASELINE))
    return ceiling - baseline
