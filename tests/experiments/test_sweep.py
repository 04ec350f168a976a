"""The verb `sweep`: variants, folders and failures."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import pytest

from benchmark.cli.parser import main, read_request
from benchmark.engine.outcome import Failure, Outcome
from benchmark.errors import DataError, StoreError
from benchmark.experiments import sweep
from support.samples import ROOT
from test_end_to_end import benchmark as command

BINARY = str(ROOT / "tests" / "tasks" / "tiny_binary.yaml")
OVER = ["sweep", "--task", BINARY, "--over", "mask.shape"]


def test_two_choices_give_the_product(tmp_path):
    """Two views by two masks give four protocols, each with its values, its folder and the fixed choice."""
    given = [*OVER, "--over", "view.keep", "--scenario", "labels.uncertain=ones", "--out", str(tmp_path)]
    variants = sweep.plan_variants(read_request(given)[1])
    assert [(v.plan.chosen["mask.shape"], v.plan.chosen["view.keep"]) for v in variants] == [
        ("none", "frontal"),
        ("none", "both"),
        ("joint", "frontal"),
        ("joint", "both"),
    ]
    assert {v.plan.chosen["labels.uncertain"] for v in variants} == {"ones"}
    assert len({v.plan.protocol_hash for v in variants}) == 4
    assert variants[0].out == tmp_path / "mask.shape=none_view.keep=frontal"


def test_values_are_parsed_as_yaml_in_the_given_order():
    """``--values 1.0,0.25`` of a patient share gives numbers, and leaves out the other values."""
    given = ["sweep", "--task", "lus_limited", "--over", "scarce.keep", "--values", "1.0,0.25"]
    variants = sweep.plan_variants(read_request(given)[1])
    assert [v.plan.chosen["scarce.keep"] for v in variants] == [1.0, 0.25]
    assert [v.name for v in variants] == ["scarce.keep=1.0", "scarce.keep=0.25"]
    assert str(variants[0].out) == "outputs/sweep-lus_limited-demo/scarce.keep=1.0"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--over", "mask.shap"], "Did you mean 'mask.shape'"),
        (["--over", "mask.shape"], "names 'mask.shape' twice"),
        (["--values", "square"], "Choose one of: none, joint"),
        (["--values", "[none"], "is not a list of values"),
        (["--values", "none", "--values", "joint"], "given more often than --over"),
        (["--scenario", "mask.shape=none"], "set by --scenario too"),
    ],
)
def test_invalid_choice_is_refused_before_computing(more, message, capsys, tmp_path, monkeypatch):
    """The status is 1, one line is printed, and no file is written."""
    monkeypatch.chdir(tmp_path)
    assert main([*OVER, *more]) == 1
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def outcome_of(fault):
    """Return an outcome with one failed node, or none."""
    return Outcome(failures={"fit/x": fault}, causes=[Failure(fault, fault, 0)]) if fault else Outcome()


def ending(failing, masks):
    """Return a run that writes its leaderboard, unless the value of the mask must fail."""

    def run(plan, verb, out, workers, parent, placement):
        masks.append((plan.chosen["view.keep"], parent))
        fault = failing.get(plan.chosen["view.keep"])
        if isinstance(fault, Exception):
            raise fault
        out.mkdir(parents=True)
        (out / "leaderboard.json").write_text("{}")
        return SimpleNamespace(outcome=outcome_of(fault))

    return run


@pytest.mark.parametrize(
    ("fault", "status", "folders"),
    [
        (None, 0, ["view.keep=frontal", "view.keep=both"]),
        (DataError("data", "has no image"), 1, ["view.keep=both"]),
        (RuntimeError("a bug"), 1, ["view.keep=both"]),
        ("fit/x: no idea", 1, ["view.keep=frontal", "view.keep=both"]),
    ],
)
def test_failing_variant_does_not_stop_the_others(fault, status, folders, tmp_path, monkeypatch, capsys):
    """A data fault, a bug or a failed row gives status 1; the other variant runs, and tables are written."""
    masks, tables = [], []
    monkeypatch.setenv("MLFLOW_RUN_ID", "parent")
    monkeypatch.setattr(sweep, "run", ending({"frontal": fault}, masks))
    fake = SimpleNamespace(
        write_tables=lambda folders_of, out: tables.append((folders_of, out)) or [out / "a.csv"]
    )
    monkeypatch.setitem(sys.modules, "benchmark.reporting.write_tables", fake)
    given = ["sweep", "--task", BINARY, "--over", "view.keep", "--out", str(tmp_path)]
    assert main(given) == status
    assert masks == [("frontal", "parent"), ("both", "parent")]
    assert tables == [([tmp_path / f for f in folders], tmp_path / "tables")]
    output = capsys.readouterr()
    assert "a.csv" in output.out
    assert ("failed: view.keep=frontal" in output.err) == (status == 1)


def test_store_that_cannot_be_written_ends_the_sweep(tmp_path, monkeypatch):
    """Without a store no variant can run."""
    masks = []
    monkeypatch.setattr(sweep, "run", ending({"frontal": StoreError("store", "is full")}, masks))
    given = ["sweep", "--task", BINARY, "--over", "view.keep", "--out", str(tmp_path)]
    assert main(given) == 1
    assert len(masks) == 1


@pytest.mark.slow
def test_sweep_writes_a_leaderboard_per_variant_and_tables_over_them(tmp_path):
    """Two masks give leaderboards of two protocols, two parent runs that name their choice, and tables."""
    pytest.importorskip("benchmark.reporting.write_tables")
    done = command(tmp_path, *OVER, "--out", "out")
    assert done.returncode == 0, done.stderr
    boards = [json.loads(p.read_text()) for p in sorted((tmp_path / "out").glob("*/leaderboard.json"))]
    assert len(boards) == 2
    assert any((tmp_path / "out" / "tables").iterdir())
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    runs = client.search_runs([e.experiment_id for e in client.search_experiments()], max_results=1000)
    parents = [r for r in runs if "mlflow.parentRunId" not in r.data.tags]
    assert sorted(r.data.params["mask.shape"] for r in parents) == ["joint", "none"]
