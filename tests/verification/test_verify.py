"""Honest bundles pass; a bundle that was edited by hand fails, and the field is named."""

from __future__ import annotations

import io
import json
import pickle
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from benchmark.compare.reported import results
from benchmark.execute import execute
from benchmark.publish.shown import png
from benchmark.verification.check import BELIEVED
from benchmark.verification.verify import Asked, Report, verify
from verification.honest import at, edit, vouch

SUITE_ALONE = ("what the row says of itself", "what a submission says of itself")


def test_honest_bundles_pass(suite_row: Path, submission: Path, asked: Asked):
    """Nothing fails, and what cannot be checked is said: the signature, and what is believed."""
    for folder in (suite_row, submission):
        report = verify(folder, asked)
        assert report.failed == []
        assert {c.name for c in report.checks if c.passed is None} == {"signature", "claims"}


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of everything in a JSON value that has nothing within it."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    empty = True
    for key, item in inner:
        empty = False
        yield from leaves(item, (*path, key))
    if empty:
        yield path


def other(value: Any) -> Any:
    """Another value of the same kind, as somebody might write it by hand."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value + 1 if isinstance(value, int) else value * 1.01 + 0.001
    if isinstance(value, str):
        return ("b" if value[:1] == "a" else "a") + value[1:]
    return {"x": 1} if value == {} else ["x"] if value == [] else 1


def is_believed(path: str, submitted: bool) -> bool:
    """Whether nothing is said to check the field."""
    return any(
        re.fullmatch(pattern, path) for name, pattern in BELIEVED.items()
        if submitted or name not in SUITE_ALONE
    )  # fmt: skip


def edited_leaves(folder: Path, asked: Asked, every: bool) -> tuple[int, list[str]]:
    """Edit one field after the other; how many, and those that are neither caught nor said to be believed."""
    content = json.loads((folder / "bundle.json").read_text())
    submitted, seen, wrong, count = content["way"] != "suite", set(), [], 0
    for way in leaves(content):
        path = ".".join(map(str, way))
        if not every and way[0] in seen:
            continue
        seen.add(way[0])
        count += 1
        changed = json.loads(json.dumps(content))
        holder = at(changed, way)
        holder[way[-1]] = other(holder[way[-1]])
        (folder / "bundle.json").write_text(json.dumps(changed))
        failed = verify(folder, asked).failed
        if not failed and not is_believed(path, submitted):
            wrong.append(path)
    return count, wrong


def test_every_part_is_checked_or_said_to_be_believed(suite_row: Path, asked: Asked):
    """The first field of every part of ``bundle.json``: edited, it is caught, or is said to be believed."""
    count, wrong = edited_leaves(suite_row, asked, every=False)
    assert wrong == []
    assert count == len(json.loads((suite_row / "bundle.json").read_text()))


@pytest.mark.slow
def test_every_field_is_checked_or_said_to_be_believed(suite_row: Path, submission: Path, asked: Asked):
    """The same for every single field, of a row of the suite and of a submission."""
    for folder in (suite_row, submission):
        count, wrong = edited_leaves(folder, asked, every=True)
        assert wrong == []
        print(count)
