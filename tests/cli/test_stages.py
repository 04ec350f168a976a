"""Verbs that run the stages of a task."""

from mlflow.tracking import MlflowClient

from benchmark.cli.parser import main
from support.samples import TINY

SPLIT = "test: 0.3, val: 0.15, reserve: 0.15, too_few: exclude"
CAUSE = "source covid_chestxray: 'viral': has 1 patient, the split needs at least 5"


def test_a_source_that_cannot_serve_the_task_is_one_error(packs, tmp_path, monkeypatch, capsys):
    """Of 270 stages in five folds one is reported as failed: on the screen, as the error, and in MLflow."""
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SYNTHTHORAX_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    text = TINY.read_text()
    assert SPLIT in text
    (tmp_path / "tiny.yaml").write_text(text.replace(SPLIT, "folds: 5, val: 0.15, reserve: 0.15"))
    words = ["run", "--task", "tiny.yaml", "--source", "covid_chestxray", "--workers", "2", "--out", "out"]
    assert main([*words, "--root", str(packs / "covid-chestxray")]) == 1
    output = capsys.readouterr()
    assert output.err.startswith(f"error: {CAUSE}\n")
    assert output.err.count("viral") == output.out.count("FAILED") == output.out.count("viral") == 1
    client = MlflowClient(uri)
    runs = client.search_runs([e.experiment_id for e in client.search_experiments()])
    errors = [r.data.tags.get("error", "").splitlines()[0] for r in runs if "error" in r.data.tags]
    assert errors == [CAUSE, CAUSE]  # the run, and the node
    assert all(r.info.status in ("FAILED", "KILLED") for r in runs)
