"""The rows of the boards are verified whole: all of them, or those that changed and one board in turn."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from benchmark.bundles.standing import read_keyring, read_standing
from benchmark.cli.parser import main
from benchmark.errors import BenchmarkError
from benchmark.verification import data as recomputation
from benchmark.verification.boards import changed_rows, verify_boards
from benchmark.verification.request import VerifyRequest
from support.honest import edit
from support.samples import TINY


@pytest.fixture
def root(originals: Path, tmp_path: Path) -> Path:
    """Leaderboards with one board of two honest rows."""
    for name in ("ddpm", "blurred_noise"):
        shutil.copytree(originals / name, tmp_path / "boards" / "results" / "tiny-demo" / name)
    return tmp_path / "boards"


def test_the_data_of_a_board_are_computed_once(root: Path, originals: Path, monkeypatch):
    """A board's rows share data and gate; a fault is a line with row, check and field."""
    calls, recompute = [], recomputation.recompute_data
    monkeypatch.setenv("SYNTHTHORAX_STORE", str(originals / "store"))
    monkeypatch.setattr(
        recomputation, "recompute_data", lambda *given: calls.append(given) or recompute(*given)
    )
    monkeypatch.setattr("benchmark.verification.boards.process_map", lambda f, items, *_, **__: map(f, items))
    rows = sorted((root / "results" / "tiny-demo").iterdir())
    assert verify_boards(rows, VerifyRequest(task=TINY)) == []
    assert len(calls) == 1
    edit(rows[1], lambda content: content.update(question="Another?"))
    (line,) = verify_boards(rows, VerifyRequest(task=TINY))
    assert line.startswith(f"{rows[1]}: FAILED      protocol: question")


def test_a_check_of_the_pages_refuses_a_row_that_verify_refuses(
    root: Path, originals: Path, capsys, monkeypatch
):
    """``--check --verify`` fails by name though the pages are up to date, in processes of their own."""
    monkeypatch.setenv("SYNTHTHORAX_STORE", str(originals / "store"))
    given = ["leaderboard", "--root", str(root), "--task", str(TINY), "--workers", "1"]
    row = root / "results" / "tiny-demo" / "blurred_noise"
    edit(row, lambda content: content["memorization"].update(threshold=0.5))
    assert main(given) == 0
    assert main([*given, "--check"]) == 0
    assert main([*given, "--check", "--verify"]) == 1
    output = capsys.readouterr().out
    assert "verified 2 rows" in output
    assert "blurred_noise: FAILED      memorization: memorization.threshold" in output


def test_changed_rows_and_one_board_in_turn(tmp_path: Path):
    """Committed, uncommitted and new rows are verified, and with each commit all rows of the next board."""
    rows = [tmp_path / "results" / board / row for board in "abc" for row in ("one", "two")]
    for row in rows:
        row.mkdir(parents=True)
        (row / "bundle.json").write_text("{}")

    def git(*words: str) -> None:
        command = ["git", "-C", str(tmp_path), "-c", "user.name=x", "-c", "user.email=x@example.org", *words]
        subprocess.run(command, check=True, capture_output=True)

    def commit() -> None:
        git("add", "-A")
        git("commit", "-q", "--allow-empty", "-m", "x")

    with pytest.raises(BenchmarkError, match="--since"):
        changed_rows(tmp_path, "HEAD^")
    git("init", "-q")
    commit()
    (rows[0] / "bundle.json").write_text("{ }")
    commit()  # the second commit: board c in turn
    assert changed_rows(tmp_path, "HEAD^") == [rows[0], rows[4], rows[5]]
    (rows[2] / "new").write_text("")
    (rows[3] / "bundle.json").unlink()
    assert changed_rows(tmp_path, "HEAD") == [*rows[2:4], *rows[4:]]
    commit()  # the third: board a
    commit()  # the fourth: board b, and nothing changed
    assert changed_rows(tmp_path, "HEAD^") == rows[2:4]
    with pytest.raises(BenchmarkError, match="--since: git"):
        changed_rows(tmp_path, "absent")


def test_a_maintainer_signs_the_rows_that_the_project_ran(root: Path, tmp_path: Path, capsys):
    """One command signs a board's rows of the suite; a submission stays its author's."""
    if shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen is not installed")
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    (root / "maintainers").write_text(f"max@example.org {(tmp_path / 'key.pub').read_text()}")
    given = ["leaderboard", "--root", str(root), "--sign", str(key), "--workers", "1"]
    assert main(given) == 2
    assert "--sign needs --board" in capsys.readouterr().err
    assert main([*given, "--board", "tiny-demo"]) == 0
    keys = read_keyring(root)
    signed = {p.name: read_standing(p, keys).project for p in (root / "results" / "tiny-demo").iterdir()}
    assert signed == {"ddpm": True, "blurred_noise": False}
    assert "the project, signed by max@example.org" in (root / "tiny.md").read_text()
