"""Entries joined into fewer calls, without another effect."""

import random
import time

import pytest

from benchmark.experiments import merging
from benchmark.experiments.merging import is_live, merged


def log(name, step, at=5, **more):
    about = {"op": "log", "name": name, "time": at, "metrics": [["loss", 0.5, step]]}
    return about | {"params": {}, "tags": {}} | more


def test_points_of_one_run_are_one_call_and_keep_their_times():
    """Two points of a, one of b between them, and one after the end of a, which stays apart."""
    end = {"op": "end", "name": "a", "time": 9, "status": "FINISHED"}
    first, other, last = merged([log("a", 1), log("b", 1), log("a", 2, at=7), end, log("a", 3)])[:3]
    assert first["metrics"] == [["loss", 0.5, 1, 5], ["loss", 0.5, 2, 7]]
    assert (first["count"], other, last) == (2, log("b", 1), end)


@pytest.mark.parametrize("seed", range(50))
def test_joining_changes_neither_content_nor_order(seed):
    """Of each run, the points come in the same order, and nothing passes its opening or its end."""
    draw = random.Random(seed)
    drawn = [(draw.choice("ab"), draw.choice(["log", "artifact", "end", "open"])) for _ in range(12)]
    entries = [
        log(name, step) if op == "log" else {"op": op, "name": name, "time": 1}
        for step, (name, op) in enumerate(drawn)
    ]

    def effect(some, name):
        flat = []
        for entry in some:
            if entry["name"] == name and entry["op"] == "log":
                flat += [point[2] for point in entry["metrics"]]
            elif entry["name"] == name and entry["op"] != "artifact":
                flat.append(entry["op"])
        return flat

    joined = merged(entries)
    for name in "ab":
        assert effect(joined, name) == effect(entries, name)
    assert sum(entry.get("count", 1) for entry in joined) == len(entries)
    assert merged(joined) == joined


def test_young_points_wait_for_later_ones():
    """Until ten seconds, or the end of their run; parameters and tags never wait."""
    now = int(time.time() * 1000)
    assert is_live(log("a", 1, at=now), ())
    assert not is_live(log("a", 1, at=now - int(1000 * merging.LIVE_SECONDS) - 1), ())
    assert not is_live(log("a", 1, at=now), {"a"})
    assert not is_live(log("a", 1, at=now, params={"lr": "1"}), ())
    assert not is_live({"op": "end", "name": "a", "time": now}, ())
