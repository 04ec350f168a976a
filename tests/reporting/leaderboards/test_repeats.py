"""The sentence on what a repetition of seeds detects on a board."""

from __future__ import annotations

import re

import numpy as np
import pytest
from scipy import stats

from benchmark.reporting.leaderboards.board_folders import BoardFolder, read_board
from benchmark.reporting.leaderboards.repeats import repeats
from support.board_folders import make_board_folder


def test_the_sentence_states_the_board_s_own_numbers(tmp_path):
    """Spread, smallest inflation and honest gain follow from the results of the bundles."""
    rows = ("real_only", "duplicate_real", "oracle", "ddpm")
    board = read_board(BoardFolder.at(make_board_folder(tmp_path, rows=rows, seeds=(0, 1, 2))))
    runs = {}
    for bundle in board.bundles:
        by_bracket = bundle.manifest.results["test"]
        own = by_bracket.get("250") or by_bracket["0"]
        runs[bundle.manifest.row.name] = np.array(own["balanced_accuracy"].runs)
    spread = np.sqrt(np.mean([v.var(ddof=1) for v in runs.values()]))
    text = repeats(board)
    k, points, stated, df, gain = re.search(
        r"repeat (\d) of 3 seeds .* by ([\d.]+) points .* of ([\d.]+) points .*\(df (\d+)\)"
        r".* gains ([-+\d.]+) points",
        text,
    ).groups()
    assert float(stated) == pytest.approx(100 * spread, abs=0.06)
    assert int(df) == 8
    assert float(gain) == pytest.approx(100 * (runs["oracle"].mean() - runs["real_only"].mean()), abs=0.06)
    shift = float(points) / (100 * spread * np.sqrt(1 / 3 + 1 / int(k)))
    power = stats.nct.sf(stats.t.isf(0.005, 8 + int(k) - 1), 8 + int(k) - 1, shift)
    assert power == pytest.approx(0.8, abs=0.02)
    assert ("no number of repeated seeds detects 5 points" in text) is (float(points) > 5)


def test_one_seed_has_no_spread(tmp_path):
    """Without a spread the board states nothing."""
    assert repeats(read_board(BoardFolder.at(make_board_folder(tmp_path, seeds=(0,))))) == ""
