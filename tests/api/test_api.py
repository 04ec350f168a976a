"""The suite as a library: tables with hand-computed values, generators, comparisons, scripts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark import api
from benchmark.bundles import io
from benchmark.errors import BenchmarkError
from benchmark.tasks.loading import task_names
from support.by_hand import bundle, two_generators
from support.fitted_rows import fitted_row
from support.make_bundles import measures
from support.samples import TINY


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run with the rows of ``two_generators``: mean balanced accuracy 0.575, 0.675 and 0.65."""
    monkeypatch.setattr("benchmark.api.runs.read_bundles", lambda folder: two_generators())
    (tmp_path / "bundles").mkdir()
    return api.open(tmp_path)


def test_the_leaderboard_has_the_values_of_the_board(run):
    """Best first, with the difference to the row without images."""
    table = run.leaderboard()
    assert table["balanced_accuracy"].round(6).to_dict() == {"one": 0.675, "two": 0.65, "real_only": 0.575}
    assert table["gain_over_real_only"].round(6).to_dict()["one"] == 0.1
    figures = run.comparison.primary["one"].versus["real_only"]["balanced_accuracy"]
    assert table.loc["one", "gain_over_real_only_low"] == figures.low
    assert (table.loc["one", "rank"], table.loc["one", "role"]) == (1, "generator")
    assert run.failed == {}


def test_predictions_are_those_that_rank(run):
    """Three rows of four trainings on 20 images; of bracket 1, row one has 26 + 26 of 40 right."""
    table = run.predictions()
    assert len(table) == 3 * 4 * 20
    assert set(table["bracket"]) == {0, 2}
    assert set(table["label"]) == {"left", "right"}
    first = run.predictions(bracket=1).query("model == 'one'")
    right = first["label"] == np.where(first["score_left"] > 0.5, "left", "right")
    assert right.mean() == pytest.approx((12 + 12 + 12 + 16) / 80)


def test_metrics_are_of_every_bracket_and_of_the_images(run, monkeypatch):
    """Row one at bracket 1: (0.6 + 0.6 + 0.6 + 0.8) / 4; its images have an FID of 21.5."""
    bundles = two_generators()
    measured = bundle("one", bundles[1].predictions, "generator", measures=measures(21.5))
    monkeypatch.setattr("benchmark.api.runs.read_bundles", lambda _: [bundles[0], measured, bundles[2]])
    table = run.metrics().query("row == 'one' and bracket == 1 and metric == 'balanced_accuracy'")
    assert table["value"].item() == pytest.approx(0.65)
    images = run.metrics().query("kind == 'images' and metric.str.startswith('fid')")
    assert (images["row"].item(), images["value"].item()) == ("one", 21.5)


def test_compare_reads_the_predictions_of_a_run(run):
    """The estimates of the leaderboard, and its differences to the baseline."""
    table = api.compare(run.predictions(), baseline="real_only", metric="balanced_accuracy")
    board = run.leaderboard()
    for name in ("one", "two", "real_only"):
        assert table.loc[name, "balanced_accuracy"] == pytest.approx(board.loc[name, "balanced_accuracy"])
    for end in ("", "_low", "_high"):
        own = table.loc["one", f"difference{end}"]
        assert own == pytest.approx(board.loc["one", f"gain_over_real_only{end}"])
    assert table.attrs["record"]["test_set"]["images"] == 20


def test_compare_reads_runs_of_any_origin():
    """Means by row, the best first; another table is refused by its name."""
    values = {"row": ["a", "a", "b", "b"], "value": [0.1, 0.3, 0.5, 0.7], "seed": [0, 1, 0, 1]}
    table = api.compare(pd.DataFrame(values))
    assert table["mean"].round(6).to_dict() == {"b": 0.6, "a": 0.2}
    with pytest.raises(BenchmarkError, match="df: is neither a table of predictions"):
        api.compare(pd.DataFrame({"x": [1]}))
    with pytest.raises(BenchmarkError, match=r"^df.*nan|df.*value"):
        api.compare(pd.DataFrame(values | {"value": ["x", 1, 1, 1]}))


def test_a_generator_of_a_run_draws(run, tmp_path, monkeypatch):
    """Mixed labels in their order; a number that starts again with another call."""
    own = tmp_path / "own"
    own.mkdir()
    row = fitted_row(own)
    monkeypatch.setattr("benchmark.api.runs.open_row", lambda *_, **__: row)
    generator = run.generator("recorder")
    images = generator.sample(["c", "a", "c"])
    assert images.shape == (3, 16, 16)
    assert np.array_equal(images[1], generator.sample("a")[0])
    assert images[:, 0, 0].tolist() == [0, 0, 1]
    assert generator.labels == ("a", "b", "c")


def test_tasks_and_plans_are_tables():
    """Every packaged task, and the rows and stages of a plan; a wrong option is one error."""
    assert api.tasks().index.tolist() == task_names()
    planned = api.plan(str(TINY), generators=["ddpm"])
    assert planned.rows().loc["ddpm", "role"] == "generator"
    assert (planned.stages()["stage"] == "fit").sum() == 6  # ddpm and the controls with images
    for options, message in (({"generator": "x"}, "unknown option 'generator'"), ({"workers": 0}, "workers")):
        with pytest.raises(BenchmarkError, match=message):
            api.plan(str(TINY), **options)


def test_a_folder_without_a_run_is_refused(tmp_path):
    """The error names the folder."""
    with pytest.raises(BenchmarkError, match="has no bundles"):
        api.open(tmp_path)


def test_a_script_needs_no_main_guard(tmp_path):
    """Its workers do not run it again, and the names of its own module are as before."""
    (tmp_path / "script.py").write_text(
        "from benchmark.utils.processes import process_map\n"
        "print('begins', flush=True)\n"
        "print(list(process_map(abs, [-1, 2, -3], 2, where='x')))\n"
        "print(__file__.endswith('script.py'))\n"
    )
    done = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "begins\n[1, 2, 3]\nTrue\n", done.stderr


def test_bundles_are_read_from_the_folder(tmp_path):
    """An empty folder of bundles is an error of the reader, not an empty table."""
    (Path(tmp_path) / "bundles").mkdir()
    with pytest.raises(BenchmarkError):
        api.open(tmp_path).leaderboard()
    assert api.runs.read_bundles is io.read_bundles
