"""Tracking entries on the disk, and who takes them over."""

from __future__ import annotations

import os
import socket

from benchmark.experiments.outbox import Outbox, take_left


def filled(folder, run_id="r1", store="store"):
    """An outbox with two entries that are not sent."""
    outbox = Outbox(folder, store, "0", run_id)
    outbox.append({"op": "a"})
    outbox.append({"op": "b"})
    return outbox


def test_entries_leave_in_order_and_the_file_with_the_last(tmp_path):
    """An outbox whose entries are sent leaves no file."""
    outbox = filled(tmp_path)
    assert outbox.take() == [{"op": "a"}, {"op": "b"}]
    assert outbox.take(0) == []
    outbox.sent()
    assert len(outbox) == 1
    outbox.sent()
    outbox.close()
    assert not list(tmp_path.iterdir())


def test_what_a_run_leaves_is_taken_once_and_for_its_store_alone(tmp_path):
    """A closed outbox is taken whole by the next start, not by two, and not for another tracking store."""
    filled(tmp_path).close()
    assert not take_left(tmp_path, "another store")
    (left,) = take_left(tmp_path, "store")
    assert (left.run_id, left.experiment) == ("r1", "0")
    assert [entry["op"] for entry in left] == ["a", "b"]
    assert not take_left(tmp_path, "store")


def test_a_living_process_keeps_its_file_and_a_dead_one_does_not(tmp_path):
    """The file of a process of this machine is free when that is gone, of another after ten minutes."""
    path = filled(tmp_path).path
    assert not take_left(tmp_path, "store")
    elsewhere = path.with_name(f"r1@{socket.gethostname()}-not@1.jsonl")
    os.rename(path, elsewhere)
    assert not take_left(tmp_path, "store")
    os.utime(elsewhere, (0, 0))
    (left,) = take_left(tmp_path, "store")
    os.rename(left.path, path.with_name(path.name.replace(f"@{os.getpid()}.", "@4194305.")))
    assert len(take_left(tmp_path, "store")) == 1


def test_a_line_that_a_kill_has_cut_ends_the_entries(tmp_path):
    """The half of an entry at the end of a file is left out."""
    outbox = filled(tmp_path)
    outbox.close()
    outbox.path.write_text(outbox.path.read_text()[:-5])
    (left,) = take_left(tmp_path, "store")
    assert [entry["op"] for entry in left] == ["a"]


def test_a_disk_that_takes_no_file_leaves_the_entries_in_memory(tmp_path):
    """The fault is noted, and the entries can still be sent."""
    (tmp_path / "tracking").write_text("a file in the place of the folder")
    outbox = filled(tmp_path / "tracking")
    assert outbox.fault
    assert outbox.take() == [{"op": "a"}, {"op": "b"}]
    outbox.close()


def test_a_run_that_is_continued_does_not_overwrite_what_it_left(tmp_path):
    """A second outbox of one run has another file."""
    filled(tmp_path).close()
    second = filled(tmp_path)
    (left,) = take_left(tmp_path, "store")
    assert left.path != second.path
    assert [entry["op"] for entry in left] == ["a", "b"]
