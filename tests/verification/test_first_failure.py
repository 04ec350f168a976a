"""A stage that fails ends the recomputation of a bundle at once, with one error."""

from types import SimpleNamespace

import pytest

from benchmark.engine.node import Graph
from benchmark.errors import BenchmarkError, DataError, StoreError, SubmissionError
from benchmark.verification import data, retrain


def failing(fault):
    """Return an ``execute`` that insists on every node being essential, and fails."""

    def execute(nodes, store, run_stage, *, workers, essential, observer=None):
        assert essential(None)
        raise fault

    return execute


@pytest.mark.parametrize(
    ("fault", "kind", "message"),
    [
        (
            BenchmarkError("", "fit: no idea"),
            SubmissionError,
            "row 'x': could not be retrained: fit: no idea",
        ),
        (StoreError("store", "is full"), StoreError, "store: is full"),
    ],
)
def test_retraining(fault, kind, message, tmp_path, monkeypatch):
    """The row is named, or the store if it is the cause."""
    monkeypatch.setattr(retrain, "required_nodes", lambda *_: Graph(()))
    monkeypatch.setattr(retrain, "execute", failing(fault))
    with pytest.raises(kind) as caught:
        retrain.retrain(SimpleNamespace(device="cpu"), "x", (0,), tmp_path / "store", 1)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("fault", "kind", "message"),
    [
        (BenchmarkError("", "no image\n       Look."), DataError, "source y: no image"),
        (StoreError("store", "is full"), StoreError, "store: is full"),
    ],
)
def test_data(fault, kind, message, tmp_path, monkeypatch):
    """The source is named, or the store if it is the cause."""
    monkeypatch.setattr(data, "make_plan", lambda *_, **__: None)
    monkeypatch.setattr(data, "build", lambda plan: Graph(()))
    monkeypatch.setattr(data, "execute", failing(fault))
    protocol = SimpleNamespace(request=lambda *_: None, source="y")
    with pytest.raises(kind) as caught:
        data.recompute_data(protocol, None, tmp_path / "store")
    assert str(caught.value) == message
