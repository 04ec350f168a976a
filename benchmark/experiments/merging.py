"""Tracking entries that go to MLflow in one call: what was logged of a run since the last one."""

import time
from collections.abc import Collection, Sequence
from typing import Any

from benchmark.experiments.outbox import Entry

LIVE_SECONDS = 10.0  # after which a point of a curve is sent while its run goes on
BESIDE = ("artifact",)  # operations that logging may be moved across


def merged(entries: Sequence[Entry]) -> list[Entry]:
    """Return entries of the same effect, those that log to one run joined; each point keeps its time."""
    result: list[Entry] = []
    last: dict[str, int] = {}  # place of the entry that logs to a run, while another may join it
    for entry in entries:
        name = entry["name"]
        if entry["op"] == "log" and name in last:
            result[last[name]] = _joined(result[last[name]], entry)
            continue
        if entry["op"] == "log":
            last[name] = len(result)
        elif entry["op"] not in BESIDE:
            last.pop(name, None)
        result.append(entry)
    return result


def is_live(entry: Entry, ending: Collection[str]) -> bool:
    """Return whether an entry holds young points of a curve alone, of a run that does not end yet."""
    if entry["op"] != "log" or entry.get("params") or entry.get("tags") or entry["name"] in ending:
        return False
    return bool(entry["metrics"]) and time.time() - entry["time"] / 1000 < LIVE_SECONDS


def _joined(first: Entry, second: Entry) -> Entry:
    def points(entry: Entry) -> list[list[Any]]:
        return [[*point, entry["time"]] if len(point) == 3 else [*point] for point in entry["metrics"]]

    return {
        "op": "log",
        "name": first["name"],
        "time": first["time"],
        "metrics": [*points(first), *points(second)],
        "params": {**first["params"], **second["params"]},
        "tags": {**first["tags"], **second["tags"]},
        "count": first.get("count", 1) + second.get("count", 1),
    }
