"""The search: on val alone, resumable, with parameters that ``run`` accepts."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmark.cli.parser import main
from benchmark.engine.node import Node
from benchmark.errors import StoreError, TaskError
from benchmark.experiments import trial as trials_of
from benchmark.experiments import tune as search
from benchmark.experiments.study import open_study, sampler
from benchmark.experiments.tune import Settings
from benchmark.planning.request import RunRequest
from benchmark.planning.resolve import make_plan
from benchmark.utils.signals import Interrupted
from support.samples import ROOT, TINY

BINARY = ROOT / "tests" / "tasks" / "tiny_binary.yaml"

SEARCHED = '''"""A generator whose preview gets worse with its parameter: the best is the smallest."""
import json
import numpy as np
from pydantic import BaseModel, Field
from benchmark.plugins.generator import Samples

version = "1"
card = {"title": "Blurred copies"}

class Params(BaseModel, extra="forbid", frozen=True):
    noise: float = Field(0.5, ge=0, le=1)

def search_space(trial):
    return {"noise": trial.suggest_float("noise", 0.0, 1.0)}

class Generator:
    conditions = {"label"}
    def __init__(self, params):
        self.noise, self.mean = params.noise, None
    def fit(self, train, context):
        assert not (context.scratch.parent / "test.arrow").exists()
        self.mean = train.image.mean(0) / 255
        for step in (1, 2, 3):
            context.checkpoint(step, 3)
            if context.should_stop:
                return
    def sample(self, request, context):
        rng = np.random.default_rng(context.seed)
        noise = rng.random((len(request.label), *self.mean.shape))
        return Samples(self.mean * (1 - self.noise) + noise * self.noise)
    def save(self, folder):
        (folder / "s.json").write_text(json.dumps([self.noise, self.mean.tolist()]))
    @classmethod
    def load(cls, folder, context):
        noise, mean = json.loads((folder / "s.json").read_text())
        made = cls(Params(noise=noise))
        made.mean = np.array(mean)
        return made
'''


def tune(folder: Path, trials: int, *more: str, out: str = "out") -> int:
    """Run the verb in its folder, and return the exit status."""
    (folder / "searched.py").write_text(SEARCHED)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("SYNTHTHORAX_STORE", str(folder / "store"))
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
        words = ["tune", "--task", str(TINY), "--generator", "searched.py", "--out", out, *more]
        return main([*words, "--trials", str(trials)])


@pytest.fixture(scope="module")
def searched(tmp_path_factory, empty_store):
    """The folder of a search of four trials, and its exit status."""
    folder = tmp_path_factory.mktemp("tune")
    shutil.copyfile(empty_store, folder / "mlflow.db")
    return folder, tune(folder, 4)


def trials(folder: Path) -> list:
    import optuna

    return optuna.load_study(study_name=None, storage=f"sqlite:///{folder / 'out' / 'study.db'}").trials


def test_result_is_the_best_finished_trial_and_run_accepts_it(searched, monkeypatch):
    """best_params.yaml has the parameters of the finished trial with the lowest preview FID."""
    folder, status = searched
    assert status == 0
    best = yaml.safe_load((folder / "out" / "best_params.yaml").read_text())
    finished = [t for t in trials(folder) if t.state.name == "COMPLETE"]
    lowest = min(finished, key=lambda t: t.value)
    assert best["generators"]["searched"]["noise"] == lowest.params["noise"]
    assert best["found"]["value"] == lowest.value
    monkeypatch.chdir(folder)
    request = RunRequest(str(TINY), generators=("searched.py",), params=folder / "out" / "best_params.yaml")
    row = next(r for r in make_plan(request).rows if r.name == "searched")
    assert row.params["noise"] == lowest.params["noise"]


def test_every_report_reaches_the_pruner(searched):
    """A finished trial has as many intermediate values as previews: three."""
    folder, _ = searched
    finished = [t for t in trials(folder) if t.state.name == "COMPLETE"]
    assert all(len(t.intermediate_values) == 3 for t in finished)


def test_trials_are_nested_runs(searched):
    """Each trial is a run below the search's run, with its parameters and objective."""
    from mlflow.tracking import MlflowClient

    folder, _ = searched
    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    runs = client.search_runs([e.experiment_id for e in client.search_experiments()])
    nested = [r for r in runs if "mlflow.parentRunId" in r.data.tags]
    assert len(nested) == 4
    assert all("noise" in r.data.params for r in nested)


def test_a_resumed_search_is_an_uninterrupted_one():
    """Two trials and six more are the eight of one search: none is drawn twice."""
    import optuna

    def drawn(*counts: int) -> list[float]:
        study = optuna.create_study()
        for count in counts:
            for _ in range(count):
                study.sampler = sampler(0, len(study.trials))
                study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
            study = optuna.load_study(study_name=study.study_name, storage=study._storage)
        return [trial.params["x"] for trial in study.trials]

    whole = drawn(8)
    assert drawn(2, 6) == whole
    assert len(set(whole)) == 8


def identity(file: Path, objective: Any = "fid", **changed: Any) -> str:
    request = RunRequest(str(BINARY), generators=(str(file),), **changed)
    plugin = search.tunable(str(file))
    settings = Settings(1, 0, "study.db", file.parent, objective)
    return search._identity(make_plan(request, stages=("fit",)), plugin, settings)


def test_protocol_scenario_data_and_code_are_other_studies(tmp_path):
    """Each of them changes the identity; the place of the file, the device and the precision do not."""
    file, same, edited = (tmp_path / folder / "searched.py" for folder in "abc")
    for path in (file, same, edited):
        path.parent.mkdir()
        path.write_text(SEARCHED.replace("0.0, 1.0", "0.0, 0.5") if path == edited else SEARCHED)
    first = identity(file)
    assert first == identity(same) == identity(file, precision="float32")
    others = [
        identity(edited),
        identity(file, scenario="view.keep=frontal"),
        identity(file, set=("train_images=100",)),
        identity(file, set=("split.val=0.3",)),
        identity(file, weights="none", profile="lite"),
        identity(file, "utility"),
    ]
    assert len({first, *others}) == 7


def test_an_error_of_the_search_space_is_one_line(tmp_path):
    """The generator and its error are named."""
    (tmp_path / "odd.py").write_text(SEARCHED.replace('trial.suggest_float("noise", 0.0, 1.0)', "1 / 0"))
    with pytest.raises(TaskError, match=r"'odd' \(odd.py\), line 14: search_space\(\) raised ZeroDiv"):
        trials_of.suggested(search.tunable(str(tmp_path / "odd.py")), None)


def test_study_resumes_and_never_reads_the_test_split(searched):
    """A request for 5 trials in total runs one more; the folder of the fits has train and val alone."""
    folder, _ = searched
    assert tune(folder, 5) == 0
    assert len(trials(folder)) == 5
    data = next((folder / "store" / "work").glob("tune-*"))
    assert sorted(p.name for p in data.iterdir()) == ["train.arrow", "val.arrow"]


@pytest.mark.parametrize("reason", [Interrupted(signal.SIGTERM), StoreError("store", "is full")])
def test_a_trial_that_is_stopped_runs_again(reason, tmp_path, monkeypatch):
    """Optuna records neither a failure nor a value. The next attempt at the node fails that trial and tries
    the same parameters, and the lost one does not count among the finished ones."""
    storage, work = str(tmp_path / "study.db"), tmp_path / "work"
    work.mkdir()
    tried = []

    def objective(self, trial):
        tried.append(trial.suggest_float("x", 0, 1))
        if len(tried) == 1:
            raise reason
        return tried[-1]

    monkeypatch.setattr(trials_of.Trial, "objective", objective)
    shared = trials_of.Search(
        plan=None, plugin=None, storage=storage, study="s", seed=0, objective="fid", folders={},
        store=str(tmp_path / "store"), parallel=False,
    )  # fmt: skip
    config = trials_of.TrialConfig(study_id="i", place=0, device="cpu", search=shared)
    job = (Node("t", config), {}, tmp_path, work, lambda share: None, lambda step, scalars: None)
    with pytest.raises(type(reason)):
        trials_of.run_trial(*job)
    study = open_study(storage, "s")
    assert [trial.state.name for trial in study.trials] == ["RUNNING"]
    result = trials_of.run_trial(*job)
    study = open_study(storage, "s")
    assert [trial.state.name for trial in study.trials] == ["FAIL", "COMPLETE"]
    assert tried[0] == tried[1] == result["values"][0]
    assert len(search.finished(study)) == 1


@pytest.mark.slow
def test_two_workers_share_a_study_and_search_both_objectives(searched, monkeypatch):
    """In a journal file: three trials of two at once, each with the FID of previews and the utility on val.
    The best parameters are of the trial on the Pareto front with the highest utility."""
    folder, _ = searched
    assert tune(folder, 3, "--objective", "both", "--workers", "2", "--study", "two.journal", out="both") == 0
    best = yaml.safe_load((folder / "both" / "best_params.yaml").read_text())["found"]
    assert best["objective"] == "val_fid_phantom_cxr_v1, val_balanced_accuracy"
    assert best["trials"] == 3
    assert best["value"] == max(point["values"][1] for point in best["pareto"])
    assert all(point["values"][0] > 0 and 0 <= point["values"][1] <= 1 for point in best["pareto"])


def test_a_study_that_cannot_be_opened_is_one_line(tmp_path):
    """A database without its driver or server names the study, without its password."""
    with pytest.raises(TaskError, match=r"^study postgresql://127\.0\.0\.1:1/s: "):
        open_study("postgresql://user:secret@127.0.0.1:1/s", "s")
