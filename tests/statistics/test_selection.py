"""The gain of the best of several equal attempts, and how attempts vary."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmark.statistics.selection import attempt_error, expected_maximum


@pytest.mark.parametrize(
    ("attempts", "expected"),
    [
        (1, 0.0),
        (2, 1 / math.sqrt(math.pi)),
        (3, 1.5 / math.sqrt(math.pi)),
        (20, 1.8674750598),  # Tippett 1925; Harter 1961, table 1
        (100, 2.5075936),
        (1000, 3.2414358),
    ],
)
def test_expected_maximum_of_normals(attempts: int, expected: float):
    """Closed forms and published tables."""
    assert expected_maximum(attempts) == pytest.approx(expected, abs=2e-6)


def test_expected_maximum_against_a_simulation():
    """The mean of the largest of 7 normal values, over 200,000 draws."""
    drawn = np.random.default_rng(0).normal(size=(200_000, 7)).max(1)
    assert expected_maximum(7) == pytest.approx(drawn.mean(), abs=4 * drawn.std() / math.sqrt(len(drawn)))


def test_attempts_vary_by_what_rows_do_not_share():
    """A run that is better for every row is no luck of an attempt; the rest, over the runs of a row, is."""
    shared = np.array([[0.0, 0.3, -0.3]])
    assert attempt_error(np.zeros((4, 1)) + shared, None) == pytest.approx(0)
    rows = np.array([[0.1, -0.1], [-0.1, 0.1]])  # interaction mean square 0.04 / 1, over two runs
    assert attempt_error(rows, None) == pytest.approx(math.sqrt(0.04 / 2))
    assert attempt_error(np.array([[0.1, -0.1]]), None) == pytest.approx(math.sqrt(0.02 / 2))


def test_fits_replace_trainings_where_there_are_several():
    """Values over fits include the trainings of each; one run of one fit shows no variation."""
    assert attempt_error(np.zeros((3, 2)), 0.0004) == pytest.approx(0.02)
    assert attempt_error(np.zeros((3, 1)), None) is None


@pytest.mark.parametrize("attempts", [5, 20])
def test_luck_on_a_simulated_board(attempts: int):
    """The best of equal submissions gains what a board of other rows predicts, within 5 %.

    Rows have 3 runs; runs differ by 4 points for all rows alike and by 3 points for each row by itself.
    """
    rng, luck, gained = np.random.default_rng(attempts), [], []
    for _ in range(2000):
        run = rng.normal(0, 0.04, 3)
        board = rng.normal(0.6, 0.05, (11, 1)) + run + rng.normal(0, 0.03, (11, 3))
        luck.append(expected_maximum(attempts) * (attempt_error(board, None) or 0))
        values = (0.6 + run + rng.normal(0, 0.03, (attempts, 3))).mean(1)
        gained.append(values.max() - 0.6 - run.mean())
    assert np.mean(luck) == pytest.approx(np.mean(gained), rel=0.05)
