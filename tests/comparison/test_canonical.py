"""Pages are identical on every processor: perturbations by a few ulps change no byte.

Processors order sums differently, so the last bits of a float differ. These tests simulate another
processor: they perturb inputs, intermediate results, and the instruction sets that numpy and
OpenBLAS use.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.bundles.io import Bundle, read_bundles
from benchmark.bundles.standing import Standing
from benchmark.comparison import variance_and_association
from benchmark.comparison.breakdown import breakdown
from benchmark.comparison.significance_records import Association
from benchmark.reporting.leaderboards.board import Board
from benchmark.reporting.leaderboards.build import pages
from benchmark.reporting.leaderboards.publish import compare_bundles, write_board
from benchmark.reporting.tables import of_run, of_runs
from benchmark.reporting.tables.record import Table
from benchmark.reporting.tables.run import Run
from benchmark.reporting.tables.writers import latex, markdown, tidy_csv
from benchmark.statistics import intervals
from benchmark.utils import rounding
from benchmark.utils.rounding import canonical
from support.board_folders import make_board_folder
from support.example_boards import altered
from support.make_bundles import VARIANTS, make_bundles

ULPS = 4
COUNTS = {"multiclass": (16,) * 5, "binary": (60, 24), "multilabel": (120,), "folds": (24, 20, 24)}
ROWS = ("real_only", "duplicate_real", "oracle", "copycat", "noise", "stylegan", "ddpm")
FOUR = ("copycat", "noise", "stylegan", "ddpm")  # as generators, enough for a rank correlation
TRAINED = 400  # real images
STANDING = Standing("self-reported", "unsigned", "", "No verification is on record.")
slow = pytest.mark.slow
exactly = settings(max_examples=200, deadline=None, derandomize=True)


def shifted(value: float, ulps: int) -> float:
    """Return the float that lies a number of ulps away."""
    for _ in range(abs(ulps)):
        value = math.nextafter(value, math.copysign(math.inf, ulps))
    return value


def neighbors(value: float) -> list[float]:
    """Return all floats within ``ULPS`` of a value."""
    return [shifted(value, ulps) for ulps in range(-ULPS, ULPS + 1)]


@exactly
@given(st.integers(1, 20_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_fractions_are_the_same_to_a_few_ulps(fraction):
    """k of n images gives one value, whatever the order of additions and divisions."""
    k, n = fraction
    assert {canonical(v) for v in neighbors(k / n)} == {canonical(k / n)}


@pytest.mark.parametrize("n", [2**k for k in range(1, 17)])
def test_ties_are_the_same_to_a_few_ulps(n):
    """Odd multiples of 2^-k, such as 257/512, end in a rounded 5, which noise must not round either way."""
    for k in range(1, n, max(2, 2 * (n // 512))):
        assert len({canonical(v) for v in neighbors(k / n)}) == 1


@exactly
@given(st.lists(st.floats(-1, 1), min_size=1, max_size=40), st.randoms(use_true_random=False))
def test_sums_are_the_same_in_any_order(values, random):
    """Sums are equal in any order, also if cancellation makes the error far larger than an ulp."""
    mixed = random.sample(values, len(values))
    assert canonical(sum(values)) == canonical(sum(mixed)) == canonical(math.fsum(values))
    assert canonical(sum([*values, *(-v for v in mixed)])) == 0.0


@pytest.mark.parametrize("value", [3.99e-18, -3.99e-18, 1e-13, -4.9e-9, 5e-324, -0.0, 0.0])
def test_zero_has_no_sign_and_no_neighbors(value):
    """A correlation of 4e-18 on one processor is 0 on another."""
    assert (canonical(value), math.copysign(1, canonical(value))) == (0.0, 1.0)


@exactly
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_rounding_twice_is_rounding_once(value):
    """Rounding is idempotent: numbers are rounded when a record is created and when it is read."""
    assert canonical(canonical(value)) == canonical(value)


@pytest.mark.parametrize(
    "value", [0, -7, 10**20, True, False, None, "", "3.99e-18", {"a": [1, None, {"b": "x"}]}]
)
def test_other_values_stay(value):
    """Integers, booleans, None and text are unchanged at any depth."""
    assert canonical(value) == value
    assert type(canonical(value)) is type(value)


@cache
def bundles(kind: str) -> list[Bundle]:
    """Return small bundles of a kind of task; multi-class ones have a learning curve and four generators."""
    with tempfile.TemporaryDirectory() as folder:
        sizes: dict[str, Any] = {"test_counts": COUNTS[kind], "paper_counts": None, "seeds": (0, 1)}
        rows = read_bundles(make_bundles(Path(folder), ROWS, variant=VARIANTS[kind], **sizes))
    if kind != "multiclass":
        return rows
    rows = [altered(b, row={"role": role(b.manifest.row.name)}, data=trained(b)) for b in rows]
    return [replace(b, curve=curve(b)) if b.manifest.row.name == "real_only" else b for b in rows]


def role(row: str) -> str:
    """Return the role of a row where four are generators."""
    return "generator" if row in FOUR else "control"


def trained(bundle: Bundle) -> dict[str, Any]:
    """Return the splits of a bundle with one for training."""
    splits = bundle.manifest.record()["data"]["splits"]
    return {"splits": splits | {"train": {"images": TRAINED, "patients": TRAINED, "hash": "1", "counts": {}}}}


def curve(bundle: Bundle) -> pd.DataFrame:
    """Return predictions that are closer to chance, the fewer images ``real_only`` was trained on."""
    guesses = np.random.default_rng(5).dirichlet(np.ones(5), len(bundle.predictions))

    def trained_on(share: float) -> pd.DataFrame:
        worse = with_scores(bundle, lambda scores: share * scores + (1 - share) * guesses)
        return worse.predictions.assign(share=share, images=int(share * TRAINED))

    return pd.concat([trained_on(0.25), trained_on(0.5)], ignore_index=True)


def with_scores(bundle: Bundle, change: Callable[[np.ndarray], np.ndarray]) -> Bundle:
    """Return the bundle with its scores changed, in float64."""
    columns = [c for c in bundle.predictions if c.startswith("score_")]
    scores = change(bundle.predictions[columns].to_numpy(np.float64))
    return replace(bundle, predictions=bundle.predictions.assign(**dict(zip(columns, scores.T, strict=True))))


def all_pages(rows: list[Bundle], folder: Path) -> dict[str, str]:
    """Return every page of a leaderboard, of the boards and of the paper tables, by name."""
    comparison = compare_bundles(rows)
    manifests = {b.manifest.row.name: b.manifest for b in rows}
    written = write_board(Board(rows, comparison), folder)
    texts = {kind: path.read_text(encoding="utf-8") for kind, path in written.items()}
    head = rows[0].manifest
    board = Board(rows, comparison, f"{head.task}-{head.profile}", dict.fromkeys(manifests, STANDING))
    texts.update({f"site {name}": text for name, text in pages([board]).items()})
    run = Run(manifests, comparison, breakdown((b.manifest.record(), b.predictions) for b in rows), {})
    for table in (t for t in (*of_run(run), *of_runs([run])) if isinstance(t, Table)):
        for writer in (tidy_csv, latex, markdown):
            texts[f"{table.name} {writer.__name__}"] = writer(table)
    return texts


@cache
def expected(kind: str) -> dict[str, str]:
    """Return the pages without a perturbation."""
    with tempfile.TemporaryDirectory() as folder:
        return all_pages(bundles(kind), Path(folder))


def move(scores: np.ndarray, ulps: Any) -> np.ndarray:
    """Return the scores a number of ulps away."""
    return (scores.view(np.int64) + ulps).view(np.float64)


def each_at_random(scores: np.ndarray) -> np.ndarray:
    """Move every score by up to ``ULPS``."""
    return move(scores, np.random.default_rng(11).integers(-ULPS, ULPS + 1, scores.shape))


def each_up_or_down(scores: np.ndarray) -> np.ndarray:
    """Move every score by one ulp."""
    return move(scores, np.random.default_rng(12).choice([-1, 1], scores.shape))


def by_class(scores: np.ndarray) -> np.ndarray:
    """Move all scores of a class together."""
    return move(scores, np.random.default_rng(13).integers(-ULPS, ULPS + 1, scores.shape[1]))


def all_up(scores: np.ndarray) -> np.ndarray:
    """Move all scores up."""
    return move(scores, ULPS)


WAYS = [each_at_random, *(pytest.param(way, marks=slow) for way in (each_up_or_down, by_class, all_up))]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", VARIANTS)
def test_perturbed_scores_give_the_same_pages(kind, way, tmp_path):
    """Every score of every prediction moves by a few ulps, and no page changes by a byte."""
    assert all_pages([with_scores(b, way) for b in bundles(kind)], tmp_path) == expected(kind)


def with_noise(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Perturb every float between its computation and its rounding, and every interval and its p value."""
    rng, exact, plain = np.random.default_rng(seed), rounding.canonical_float, intervals.interval

    def noisy(value: float) -> float:
        return shifted(float(value), int(rng.integers(-ULPS, ULPS + 1))) + rng.normal() * 1e-17

    def interval(*args: Any, **options: Any) -> intervals.Interval:
        own = plain(*args, **options)
        if own.p is None:
            return replace(own, estimate=noisy(own.estimate))
        moved = {name: noisy(getattr(own, name)) for name in ("estimate", "low", "high", "se")}
        return replace(own, **moved, p=min(max(noisy(own.p), 0.0), 1.0))

    for module in list(sys.modules.values()):
        if vars(module).get("canonical_float") is exact:
            monkeypatch.setattr(module, "canonical_float", lambda value: exact(noisy(value)))
        if vars(module).get("interval") is plain:
            monkeypatch.setattr(module, "interval", interval)


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=slow) for seed in (2, 3, 4))])
@pytest.mark.parametrize("kind", VARIANTS)
def test_noise_before_rounding_gives_the_same_pages(kind, seed, tmp_path, monkeypatch):
    """No page changes by a byte, whatever the last bits of a figure."""
    wanted = expected(kind)
    with_noise(monkeypatch, seed)
    assert all_pages(bundles(kind), tmp_path) == wanted


def test_a_correlation_of_noise_is_no_correlation(tmp_path, monkeypatch):
    """A rho of 3.99e-18 on Intel and of 0.0 on AMD: the pages of both are the same."""
    known = {"p": 1.0, "n": 4, "method": "exact, all 24 orders", "low": -0.9, "high": 0.9, "reason": None}
    texts = []
    for k, rho in enumerate((0.0, 3.99e-18, -3.99e-18)):
        record = known | {"rho": rho}
        monkeypatch.setattr(variance_and_association, "spearman", lambda *_, record=record: record)
        texts.append(all_pages(bundles("folds"), tmp_path / str(k)))
    assert texts[0] == texts[1] == texts[2]
    record = Association(metric="f1", rows=("a",), expected_sign=1, **known, rho=-3.99e-18)
    assert str(record.to_json()["rho"]) == "0.0"


@slow
def test_other_instruction_sets_make_the_same_pages(tmp_path):
    """Pages from this processor are up to date for older instruction sets and one thread, too."""
    from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

    rows = ("real_only", "duplicate_real", "oracle", "noise", "stylegan", "ddpm")
    make_board_folder(tmp_path, rows=rows, test_counts=(40,) * 5)

    def leaderboard(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "benchmark", "leaderboard", "--root", str(tmp_path), *options]
        return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True)

    process = leaderboard()
    assert process.returncode == 0, process.stderr
    supported = [feature for feature in __cpu_dispatch__ if __cpu_features__[feature]]
    for disabled in (supported, supported[1:]):
        for core in ("Haswell", "Sandybridge", "Nehalem"):
            again = leaderboard(
                "--check",
                NPY_DISABLE_CPU_FEATURES=" ".join(disabled),
                OPENBLAS_CORETYPE=core,
                OPENBLAS_NUM_THREADS="1",
            )
            assert again.returncode == 0, (disabled, core, again.stdout + again.stderr)
