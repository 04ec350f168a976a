"""From a command to a leaderboard, on a task with every real stage at a small size."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from support.board_folders import without_costs
from support.samples import ROOT, TINY

BROKEN = '''"""Generators that break the contract, each in its own way; the parameter says which."""
import numpy as np
from pydantic import BaseModel
from benchmark.plugins.generator import Samples

version = "1"

class Params(BaseModel, extra="forbid", frozen=True):
    pass

class Generator:
    conditions = {"label"}
    def __init__(self, params):
        pass
    def fit(self, train, context):
        FIT
    def sample(self, request, context):
        n, s = len(request), request.image_size
        SAMPLE
    def save(self, folder):
        SAVE
    @classmethod
    def load(cls, folder, context):
        return cls(None)
'''
FAULTS = {
    "raises": ("raise ValueError('no idea')", "", "fit() raised ValueError: no idea"),
    "shape": ("pass", "return Samples(np.zeros((n, s, s + 1)))", "gave image of shape"),
    "nans": ("pass", "return Samples(np.full((n, s, s), np.nan))", "NaN"),
    "range": (
        "pass",
        "return Samples(np.full((n, s, s), 7.0))",
        "pixels in [7, 7]",
    ),
    "nothing": ("pass", "return None", "gave NoneType, expected Samples"),
    "constant": (
        "pass",
        "return Samples(np.zeros((n, s, s)))",
        "the same picture",
    ),
    "pickles": ("pass", "return None", "save() wrote 'model.pkl'"),
}


def environment(folder: Path) -> dict[str, str]:
    return os.environ | {
        "SYNTHTHORAX_STORE": str(folder / "store"),
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
        "OMP_NUM_THREADS": "1",
    }


def benchmark(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``python -m benchmark`` in its folder."""
    command = [sys.executable, "-m", "benchmark", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment(folder), capture_output=True, text=True, check=False
    )


def pages(out: Path) -> dict[str, bytes]:
    return {kind: (out / f"leaderboard.{kind}").read_bytes() for kind in ("md", "json", "html")}


def command(names: list[str]) -> list[str]:
    """Return the words of a run with these generators, and with the metric of docs/add_a_metric.md."""
    words = ["run", "--task", str(TINY), "--out", "out", "--generators", ",".join(["ddpm", *names])]
    return [*words, "--metrics", str(ROOT / "examples" / "my_metric.py")]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a whole run with two generators that break the contract and a valid one."""
    folder = tmp_path_factory.mktemp("run")
    names = []
    for name, (fit, sample, _) in FAULTS.items():
        save = (
            "(folder / 'model.pkl').write_bytes(b'')"
            if name == "pickles"
            else "(folder / 'a.json').write_text('{}')"
        )
        text = BROKEN.replace("FIT", fit).replace("SAMPLE", sample or "pass").replace("SAVE", save)
        text = text.replace("'x'", f"'{name}'")
        (folder / f"{name}.py").write_text(text)
        names.append(str(folder / f"{name}.py"))
    completed = benchmark(folder, *command(names))
    return folder, completed, names


def test_leaderboard_has_every_row_and_the_controls_are_judged(finished):
    """Controls and generators each have a row, and the block of controls judges five claims."""
    folder, completed, _ = finished
    assert "Traceback" not in completed.stdout + completed.stderr
    board = json.loads((folder / "out" / "leaderboard.json").read_text())
    text = json.dumps(board)
    for row in (
        "real_only",
        "oversample",
        "duplicate_real",
        "traditional",
        "oracle",
        "copycat",
        "noise",
        "ddpm",
    ):
        assert f'"{row}"' in text
    assert (folder / "out" / "bundles" / "oracle" / "samples" / "grid.png").is_file()


def test_failing_generators_are_reported_and_the_others_finish(finished):
    """Each breach is one line in its row, the exit status is 1, and valid rows have results."""
    folder, completed, _ = finished
    assert completed.returncode == 1
    for name, (_, _, message) in FAULTS.items():
        bundle = json.loads((folder / "out" / "bundles" / name / "bundle.json").read_text())
        assert bundle["status"] == "failed"
        assert message in bundle["error"], name
        assert name in bundle["error"]
    good = json.loads((folder / "out" / "bundles" / "ddpm" / "bundle.json").read_text())
    assert good["status"] == "complete"
    assert good["measures"]["fid_phantom_cxr_v1"]["n"] == 60


def test_metric_of_a_third_party_is_a_column(finished):
    """The metric of docs/add_a_metric.md has a value, a floor and classes in every row with images."""
    folder, _, _ = finished
    own = json.loads((folder / "out" / "bundles" / "oracle" / "bundle.json").read_text())["measures"]
    coverage = own["my_metric_phantom_cxr_v1"]
    assert {"fid_phantom_cxr_v1", "kid_phantom_cxr_v1", "ms_ssim"} < set(own)
    assert 0 <= coverage["value"] <= 1
    assert 0 < coverage["floor"] <= 1
    assert coverage["per_class"].keys() == {"healthy", "fungal", "covid19", "bacterial", "viral"}
    assert (coverage["card"]["title"], coverage["card"]["params"]) == ("Coverage", {"k": 5})
    assert "| Coverage (phantom\\_cxr\\_v1) |" in (folder / "out" / "leaderboard.md").read_text()


def test_second_run_reuses_everything_and_writes_the_same_bytes(finished):
    """Only failed nodes run again, and the three pages are the same, byte for byte."""
    folder, _, names = finished
    before = pages(folder / "out")
    completed = benchmark(folder, *command(names))
    assert not [line for line in completed.stdout.splitlines() if "classify" in line and "done in" in line]
    assert pages(folder / "out") == before


def test_tracking_shows_a_parent_and_a_nested_run_per_stage(finished):
    """MLflow has a parent with nested runs: tags, metrics over steps, inputs, artifacts and statuses."""
    from mlflow.tracking import MlflowClient

    folder, _, _ = finished
    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("synththorax/tiny")
    runs = client.search_runs([experiment.experiment_id], max_results=500)
    parent = min(
        (r for r in runs if "mlflow.parentRunId" not in r.data.tags), key=lambda r: r.info.start_time
    )
    nested = [r for r in runs if r.data.tags.get("synththorax.run") == parent.info.run_id]
    rows = {r.info.run_name: r for r in nested if r.data.tags["stage"] == "row"}
    assert rows["ddpm"].data.metrics.keys() >= {
        "balanced_accuracy",
        "rank",
        "fid",
        "kid",
        "ms_ssim",
        "copies",
    }
    assert {a.path for a in client.list_artifacts(rows["ddpm"].info.run_id)} == {"grid.png"}
    stages = {r.data.tags["stage"] for r in nested}
    assert {"data", "fit", "generate", "measure", "gan_test", "classify"} <= stages
    gan_test = next(r for r in nested if r.info.run_name == "gan_test ddpm")
    assert {"gan_test_balanced_accuracy", "gan_test_viral"} <= set(gan_test.data.metrics)
    assert all(r.info.status in ("FINISHED", "FAILED") for r in runs)
    training = next(r for r in nested if r.info.run_name == "classify ddpm +12 resnet10_tiny seed 1")
    for tag in ("task", "generator", "seed", "bracket", "classifier", "stage", "key"):
        assert training.data.tags[tag]
    assert len(client.get_metric_history(training.info.run_id, "val_balanced_accuracy")) >= 2
    assert {a.path for a in client.list_artifacts(training.info.run_id)} == {
        "confusion.png",
        "predictions.parquet",
    }
    assert {a.path for a in client.list_artifacts(parent.info.run_id)} >= {"leaderboard.html"}
    assert {i.dataset.name for i in parent.inputs.dataset_inputs} >= {
        "phantom.chest:train",
        "phantom.chest:test",
    }


def test_leaderboard_is_reproducible_from_the_bundles(finished):
    """``leaderboard --bundles`` gives the same pages without the store."""
    folder, _, _ = finished
    completed = benchmark(folder, "leaderboard", "--bundles", "out/bundles", "--out", "again")
    assert completed.returncode == 0, completed.stderr
    assert pages(folder / "again") == pages(folder / "out")


def test_device_and_precision_are_recorded(finished):
    """Bundles record device and precision, with software and hardware."""
    folder, _, _ = finished
    bundle = json.loads((folder / "out" / "bundles" / "real_only" / "bundle.json").read_text())
    assert bundle["device"] in ("cpu", "cuda")
    assert bundle["precision"] in ("float32", "bfloat16")
    assert bundle["software"]["torch"]
    assert bundle["hardware"]["cores"] >= 1


def test_killed_run_ends_with_the_same_pages(finished, tmp_path):
    """After an early and a late SIGKILL, a restart gives the same pages but for the measured costs.

    The task has fewer rows, whose stages the first run has computed.
    """
    task = yaml.safe_load(TINY.read_text()) | {"controls": ["real_only", "oracle", "noise"]}
    for profile in task["profiles"].values():
        profile["generators"] = {}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(task, sort_keys=False))
    arguments = ["run", "--task", str(tmp_path / "tiny.yaml")]
    for results in (2, 10):
        killed = subprocess.Popen(
            [sys.executable, "-m", "benchmark", *arguments, "--out", "out"], cwd=tmp_path,
            env=environment(tmp_path), stdout=subprocess.DEVNULL,
        )  # fmt: skip
        while len(list((tmp_path / "store" / "results").glob("*/*"))) < results:
            assert killed.poll() is None, "the run ended before it was killed"
            time.sleep(0.1)
        killed.send_signal(signal.SIGKILL)
        killed.wait()
    resumed = benchmark(tmp_path, *arguments, "--out", "out")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    unbroken = benchmark(finished[0], *arguments, "--out", "unbroken")
    assert unbroken.returncode == 0, unbroken.stdout + unbroken.stderr
    for kind, page in pages(tmp_path / "out").items():
        expected = pages(finished[0] / "unbroken")[kind].decode()
        assert without_costs(page.decode()) == without_costs(expected), kind


def test_read_only_tracking_store_is_one_line(tmp_path):
    """A tracking store that cannot be created ends the run at once, with the remedy."""
    environ = environment(tmp_path) | {"MLFLOW_TRACKING_URI": "sqlite:////proc/none/mlflow.db"}
    command = [sys.executable, "-m", "benchmark", "run", "--task", str(TINY), "--out", "out"]
    completed = subprocess.run(
        command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
    )
    assert completed.returncode == 1
    assert "error: tracking store sqlite:////proc/none/mlflow.db" in completed.stderr
    assert "MLFLOW_TRACKING_URI" in completed.stderr
    assert "Traceback" not in completed.stderr


def test_real_radiographs_reach_a_leaderboard(packs, tmp_path):
    """The public layout of covid-chestxray, unchanged, gives a leaderboard marked as real data."""
    completed = benchmark(
        tmp_path, "run", "--task", str(TINY), "--source", "covid_chestxray",
        "--root", str(packs / "covid-chestxray"), "--out", "out", "--generators", "ddpm",
    )  # fmt: skip
    assert completed.returncode == 0, completed.stdout + completed.stderr
    bundle = json.loads((tmp_path / "out" / "bundles" / "real_only" / "bundle.json").read_text())
    assert bundle["data_kind"] == "real"
    assert "viral" not in bundle["classes"]
    assert any("viral" in note for note in bundle["data"]["notes"])


def test_mlproject_runs_the_same_job(tmp_path):
    """``mlflow run . -e data`` succeeds, and MLflow's run is the parent of ours."""
    from mlflow.tracking import MlflowClient

    mlflow = Path(sys.executable).parent / "mlflow"
    command = [str(mlflow), "run", str(ROOT), "-e", "data", "--env-manager", "local"]
    command += ["-P", f"task={TINY}", "-P", f"out={tmp_path / 'out'}"]
    environ = environment(tmp_path) | {"PATH": f"{mlflow.parent}:{os.environ['PATH']}"}
    completed = subprocess.run(
        command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
    )
    assert completed.returncode == 0, completed.stdout + completed.stderr
    client = MlflowClient(environ["MLFLOW_TRACKING_URI"])
    ids = [e.experiment_id for e in client.search_experiments()]
    parents = [r for r in client.search_runs(ids) if "mlflow.parentRunId" not in r.data.tags]
    assert len(parents) == 1
    assert parents[0].info.status == "FINISHED"
    assert parents[0].data.tags["profile"] == "demo"
