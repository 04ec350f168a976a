"""Rows that ``leaderboard --add`` takes: those that ``verify`` passes, without a record that is handed in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmark.cli.parser import main
from support.door_records import record
from support.honest import edit
from support.keys import MAINTAINER, RECORD
from support.samples import TINY


def added(folder: Path, root: Path) -> int:
    """Add a bundle to a folder of leaderboards as a maintainer does; return the exit status."""
    return main(["leaderboard", "--root", str(root), "--task", str(TINY), "--add", str(folder)])


def test_a_leaderboard_adds_what_verify_passes_without_its_record(suite_row: Path, tmp_path: Path):
    """A record that is handed in is left behind, so that the row is self-reported."""
    MAINTAINER.sign(record(suite_row), RECORD)
    assert added(suite_row, tmp_path / "boards") == 0
    (row,) = (tmp_path / "boards" / "results").glob("*/ddpm")
    assert {p.name for p in suite_row.iterdir()} - {p.name for p in row.iterdir()} == {
        "verified.json",
        "verified.json.sig",
    }
    assert "self-reported" in (tmp_path / "boards" / "tiny.md").read_text()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("question", "Is G the best?"),
        ("memorization.gated", True),
        ("data.splits.test.hash", "0" * 64),
        ("row.role", "control"),
        ("data.fingerprint", "0" * 60),
    ],
)
def test_a_leaderboard_refuses_what_verify_refuses(suite_row, tmp_path, capsys, path, value):
    """The error names the field, and nothing is written."""
    *parents, last = path.split(".")

    def change(content: dict[str, Any]) -> None:
        for name in parents:
            content = content[name]
        content[last] = value

    edit(suite_row, change)
    assert added(suite_row, tmp_path / "boards") == 1
    assert path in capsys.readouterr().err
    assert not (tmp_path / "boards" / "results").exists()
