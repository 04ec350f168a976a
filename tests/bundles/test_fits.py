"""Several fits of a generator: their predictions, measures, gates and costs in the bundle of a row."""

import json
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from benchmark.bundles.assemble import RunResults, _costs
from benchmark.bundles.fits import measures_over_fits, worst_gate
from benchmark.bundles.folds import joined_gate
from benchmark.bundles.io import parse_manifest, read_bundle
from benchmark.engine.node import Graph, Node, StageConfig
from benchmark.engine.outcome import Outcome
from benchmark.errors import SubmissionError
from benchmark.stages.measure import Memorization
from benchmark.stages.records import Measure
from support.make_bundles import make_bundles, update_hashes

SMALL: dict[str, Any] = {"test_counts": (4,) * 5, "paper_counts": None, "seeds": (0, 1)}


@pytest.fixture
def folder(tmp_path):
    """Write a bundle of two fits, two brackets and two runs over 20 images."""
    return make_bundles(tmp_path, rows=("ddpm", "real_only"), fits=(0, 1), **SMALL) / "ddpm"


def test_a_bundle_holds_every_fit(folder):
    """Fits are a column of the predictions, and results are of every training, fit by fit."""
    bundle = read_bundle(folder)
    assert bundle.predictions is not None
    assert bundle.manifest.fit_seeds == (0, 1)
    assert bundle.predictions.groupby("fit").size().to_dict() == {0: 80, 1: 80}
    assert len(bundle.manifest.results["test"]["250"]["accuracy"].runs) == 4
    assert read_bundle(folder.parent / "real_only").manifest.fit_seeds == (0,)


def test_a_bundle_of_one_fit_is_written_as_before(tmp_path):
    """Without further fits, neither the manifest nor the predictions name them."""
    folder = make_bundles(tmp_path, rows=("ddpm",), **SMALL) / "ddpm"
    assert "fit_seeds" not in json.loads((folder / "bundle.json").read_text())
    assert "by_fit" not in (folder / "bundle.json").read_text()
    assert "fit" not in pd.read_parquet(folder / "predictions.parquet").columns


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        (lambda t: t[t["fit"] == 0], "fit"),
        (lambda t: t.assign(fit=t["fit"].astype(float)), "fit"),
        (lambda t: t.assign(fit=t["fit"] * 2), "fit"),
        (lambda t: t.drop(columns="fit"), "two predictions"),
        (lambda t: t.drop(index=5), "image_id"),
    ],
)
def test_fits_other_than_those_of_the_manifest_are_refused(folder, fault, named):
    """A missing or unknown fit, and one that lacks an image, are errors that name the column."""
    table = fault(pd.read_parquet(folder / "predictions.parquet"))
    table.to_parquet(folder / "predictions.parquet", index=False)
    update_hashes(folder)
    with pytest.raises(SubmissionError, match=named):
        read_bundle(folder)


def fid(value: float, n: int = 9) -> dict[str, Measure]:
    return {"fid": Measure(value=value, floor=1.0, n=n, direction="minimize")}


def test_measures_are_means_over_fits_with_the_value_of_each():
    """Folds of 2 and 4, and of 5 and 9, give fits of 3 and 7, and a row of 5, from 3 to 7."""
    joined = measures_over_fits({0: [fid(2), fid(4)], 3: [fid(5), fid(9, n=7)]})["fid"]
    assert (joined.value, joined.by_fit, joined.fit_range) == (5, {0: 3, 3: 7}, (3, 7))
    assert (joined.n, joined.folds) == (7, 2)
    assert Measure.model_validate_json(joined.model_dump_json()) == joined


def test_one_fit_is_left_as_it_is():
    """A row of one fit has neither values of fits nor a range; a row without images has no measures."""
    assert measures_over_fits({0: [fid(2)]}) == fid(2)
    assert measures_over_fits({0: []}) == {}
    assert worst_gate({0: []}) is None


def gate(rate: float, gated: bool) -> Memorization:
    return Memorization(
        rate=rate, expected=0.01, threshold=0.2, n=100, interval=(rate, rate), planted_recall=1.0,
        tolerance=0.05, gated=gated, blind=False, left_out={}, recall={"near copy": 1.0},
        blind_to=[], copies={}, nearness=None,
    )  # fmt: skip


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_row_is_gated_if_any_fit_is(order):
    """The gate is that of the fit that copies, with the rates of all."""
    gates = {0: [gate(0.02, False)], 1: [gate(0.4, True)]}
    worst = worst_gate({fit: gates[fit] for fit in order})
    assert worst is not None
    assert (worst.gated, worst.fit, worst.rate) == (True, 1, 0.4)
    assert worst.by_fit == {0: 0.02, 1: 0.4}


def test_the_recall_of_folds_is_the_mean_of_its_kinds():
    """The recall of a kind is the mean of the folds, of any size; the planted recall is that of the kinds."""
    folds = [
        gate(0.0, False).model_copy(update={"n": n, "recall": recall, "planted_recall": planted})
        for n, recall, planted in ((100, {"a": 1.0, "b": 0.5}, 0.75), (300, {"a": 0.8, "b": 1.0}, 0.9))
    ]
    joined = joined_gate(folds)
    assert joined is not None
    assert joined.recall == pytest.approx({"a": 0.9, "b": 0.75})
    assert joined.planted_recall == pytest.approx(0.825)
    assert joined.n == 400


class Work(StageConfig, stage="fit", version="1"):
    """A stage that is not run."""


class Training(StageConfig, stage="classify", version="1"):
    """A training that is not run."""


def test_costs_are_sums_over_fits():
    """Two fits of 10 s and their trainings of 1 and 2 s cost 20 and 3 s; each fit's are stated."""
    nodes = [Node(f"fit{f}", Work(), fit=f, row="gan") for f in (0, 1)]
    nodes += [Node(f"classify{f}", Training(), {"": (f"fit{f}",)}, fit=f, row="gan") for f in (0, 1)]
    seconds = {"fit0": 10.0, "fit1": 10.0, "classify0": 1.0, "classify1": 2.0}
    results: Any = {
        n: SimpleNamespace(costs=SimpleNamespace(seconds=s, peak_memory_mb=5.0)) for n, s in seconds.items()
    }
    run = RunResults(Graph(nodes), Outcome(results=results))
    costs = _costs("gan", run)
    assert run.fits("gan") == (0, 1)
    assert (costs["fit_seconds"], costs["classify_seconds"], costs["sample_seconds"]) == (20, 3, None)
    assert costs["by_fit"][1] == {"fit_seconds": 10, "sample_seconds": None, "classify_seconds": 2}


def test_a_repeated_fit_seed_is_refused(folder):
    """Fit seeds are distinct."""
    content = json.loads((folder / "bundle.json").read_text()) | {"fit_seeds": [0, 0]}
    with pytest.raises(SubmissionError, match="fit_seeds"):
        parse_manifest(content, "bundle")
