"""Reports of nodes through files of the shared store."""

from pathlib import Path

import pytest

from benchmark.engine import mailbox
from benchmark.engine.mailbox import Mailbox, Reader


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(mailbox, "LOOK_SECONDS", 0.0)


def test_reports_arrive_once_in_order_and_whole(tmp_path):
    """A share, scalars and a path of two nodes; a line that is half written waits for its rest."""
    reader, first, second = Reader(tmp_path), Mailbox(tmp_path, "a"), Mailbox(tmp_path, "b")
    first.put(("n1", 0.5))
    first.put(("n1", {"step": 1.0, "loss": 0.25}))
    second.put(("n2", Path("grid.png")))
    expected = [("n1", 0.5), ("n1", {"step": 1.0, "loss": 0.25}), ("n2", Path("grid.png"))]
    assert list(reader.read("ab")) == expected
    assert list(reader.read("ab")) == []
    with open(first.path, "a") as file:
        file.write('["n1", 0')
        file.flush()
        assert list(reader.read("a")) == []
        file.write(".75]\n")
    assert list(reader.read("a")) == [("n1", 0.75)]


def test_a_mailbox_goes_with_its_node(tmp_path):
    """It tells once that the node had saved its state, and starts empty for the next attempt."""
    reader, box = Reader(tmp_path), Mailbox(tmp_path, "a")
    box.put(("n", 0.5))
    box.note_saved()
    assert reader.forget("a")
    assert not reader.forget("a")
    assert list((tmp_path / "work" / "messages").iterdir()) == []
    box.put(("n", 0.75))
    assert list(reader.read("a")) == [("n", 0.75)]


def test_a_report_that_cannot_be_written_is_left_out(tmp_path):
    """A store that is gone stops no node here; the stage meets the fault itself."""
    Mailbox(tmp_path / "gone", "a").put(("n", 0.5))
