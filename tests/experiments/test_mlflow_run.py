"""The experiment of a run, and the run that it continues."""

from __future__ import annotations

import pytest
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from benchmark.errors import TrackingError
from benchmark.experiments.mlflow_errors import is_refused, reason
from benchmark.experiments.mlflow_run import experiment_id, given_run, require_agreement

TAGS, PARAMS = {"protocol": "p", "stage": "run"}, {"seeds": [0, 1], "device": "cpu", "extractor": "inception"}


@pytest.fixture
def client(tracking_file):
    return MlflowClient(f"sqlite:///{tracking_file}")


def test_the_experiment_is_that_of_the_environment(client, monkeypatch):
    """MLFLOW_EXPERIMENT_ID is honored, and so is MLFLOW_EXPERIMENT_NAME; two that disagree are refused."""
    mine = client.create_experiment("mine")
    assert experiment_id(client, "ours") not in ("0", mine)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", mine)
    assert experiment_id(client, "ours") == mine
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    assert experiment_id(client, "ours") == mine
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "other")
    with pytest.raises(TrackingError, match="Set one of them"):
        experiment_id(client, "ours")
    monkeypatch.delenv("MLFLOW_EXPERIMENT_ID")
    assert client.get_experiment(experiment_id(client, "ours")).name == "other"
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "4711")
    with pytest.raises(TrackingError, match="MLFLOW_EXPERIMENT_ID 4711: is no experiment"):
        experiment_id(client, "ours")


def test_a_deleted_experiment_has_its_remedy(client):
    """The error names the command that restores it."""
    number = client.create_experiment("ours")
    client.delete_experiment(number)
    with pytest.raises(TrackingError, match=f"mlflow experiments restore --experiment-id {number}"):
        experiment_id(client, "ours")


def test_an_experiment_that_another_start_creates_meanwhile_is_used(client, monkeypatch):
    """The insert after the check fails, and the check is repeated."""
    create = client.create_experiment

    def slower(name):
        create(name)
        return create(name)

    monkeypatch.setattr(client, "create_experiment", slower)
    assert client.get_experiment(experiment_id(client, "ours")).name == "ours"


def test_a_given_run_is_continued_if_it_is_the_same(client):
    """A new run, one with the options of ``mlflow run``, and one with equal parameters agree."""
    run_id = client.create_run("0").info.run_id
    require_agreement(given_run(client, run_id), TAGS, PARAMS)
    client.log_param(run_id, "device", "auto")
    client.log_param(run_id, "extractor", "''")  # as MLflow quotes an empty value
    client.log_param(run_id, "seeds", "[0, 1]")
    client.set_tag(run_id, "protocol", "p")
    require_agreement(given_run(client, run_id), TAGS, PARAMS)
    with pytest.raises(TrackingError, match="has protocol p, and this run has q"):
        require_agreement(given_run(client, run_id), TAGS | {"protocol": "q"}, PARAMS)
    with pytest.raises(TrackingError, match=r"has seeds \[0, 1\], and this run has \[2\]"):
        require_agreement(given_run(client, run_id), TAGS, {"seeds": [2]})


def test_a_run_that_cannot_be_continued_is_refused(client, monkeypatch):
    """A run that is not there, one that is deleted, and one of another experiment have one line each."""
    run_id = client.create_run("0").info.run_id
    with pytest.raises(TrackingError, match="MLFLOW_RUN_ID abc: is no run"):
        given_run(client, "abc")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "1")
    with pytest.raises(TrackingError, match="is in experiment 0, and MLFLOW_EXPERIMENT_ID is 1"):
        given_run(client, run_id)
    client.delete_run(run_id)
    with pytest.raises(TrackingError, match="was deleted"):
        given_run(client, run_id)


def test_faults_that_may_pass_are_told_from_refusals():
    """A lock, a full disk and a dead server may pass; so may a row that another process inserted first."""
    texts = {
        "TEMPORARILY_UNAVAILABLE": "(sqlite3.OperationalError) database is locked\n[SQL: ...]",
        "BAD_REQUEST": "(sqlite3.IntegrityError) UNIQUE constraint failed: datasets.experiment_id",
        "INTERNAL_ERROR": "API request to http://x failed with exception Max retries exceeded (Caused by"
        ' NewConnectionError("HTTPConnection: Failed: [Errno 111] Connection refused"))',
    }
    for code, text in texts.items():
        error = MlflowException(text)
        error.error_code = code
        assert not is_refused(error)
    assert reason(error) == "[Errno 111] Connection refused"
    assert reason(MlflowException(texts["TEMPORARILY_UNAVAILABLE"])) == "database is locked"
    flushed = "(raised as a result of autoflush; consider ...)\n(sqlite3.OperationalError) disk is full"
    assert reason(MlflowException(flushed)) == "disk is full"
    assert not is_refused(OSError(28, "No space left on device"))
    error.error_code = "RESOURCE_DOES_NOT_EXIST"
    assert is_refused(error)
    assert is_refused(TypeError("a bug"))
