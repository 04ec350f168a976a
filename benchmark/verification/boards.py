"""Verify the rows of the boards: all of them, or those that changed and one board in turn."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.bundles.io import bundle_folders
from benchmark.errors import BenchmarkError
from benchmark.reporting.leaderboards.board_folders import RESULTS, board_folders
from benchmark.utils.processes import process_map, worker_count
from benchmark.verification.data import DataCache
from benchmark.verification.request import VerifyRequest
from benchmark.verification.verify import verify


@dataclass(frozen=True)
class _Rows:
    """Rows of one board, which share the data."""

    folders: tuple[Path, ...]
    request: VerifyRequest


def verify_boards(rows: Sequence[Path], request: VerifyRequest, workers: int | None = None) -> list[str]:
    """Return one line for every check that a row fails; the boards are verified in parallel."""
    boards = sorted({row.parent for row in rows})
    jobs = [_Rows(tuple(row for row in rows if row.parent == board), request) for board in boards]
    count = min(len(jobs), worker_count("cpu", workers))
    return [line for lines in process_map(_faults, jobs, count, where="leaderboard") for line in lines]


def _faults(rows: _Rows) -> list[str]:
    cache = DataCache(rows.request.root)
    return [
        f"{folder}: {check.line()}"
        for folder in rows.folders
        for check in verify(folder, rows.request, cache).failed
    ]


def all_rows(root: Path) -> list[Path]:
    """Return the folders of all rows under ``root``."""
    return [row for board in board_folders(root) for row in bundle_folders(board)]


def changed_rows(root: Path, since: str) -> list[Path]:
    """Return the rows with a file that differs from a commit, and all rows of one board in turn.

    The board in turn is that of the number of commits, so each board is verified whole once in as many
    commits as there are boards, whatever a change of the suite did to its rows.

    Raises:
        BenchmarkError: no checkout of git, or an unknown commit.
    """
    results = root / RESULTS
    changed = {
        *_git(results, "diff", "--name-only", "--relative", "-z", since, "--", "."),
        *_git(results, "ls-files", "--others", "--exclude-standard", "-z"),
    }
    touched = {results.joinpath(*Path(name).parts[:2]) for name in changed}
    boards = board_folders(root)
    number = int(_git(results, "rev-list", "--count", "HEAD")[0])
    in_turn = boards[number % len(boards)]
    return [row for row in all_rows(root) if row in touched or row.parent == in_turn]


def _git(folder: Path, *words: str) -> list[str]:
    """Return the lines, or the names between zero bytes, that a command of git prints."""
    command = ["git", "-C", str(folder), *words]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        last = (result.stderr.strip().splitlines() or ["no answer"])[-1]
        raise BenchmarkError("--since", f"git: {last}", "Leave --since out to verify every row.")
    return [name for name in result.stdout.replace("\0", "\n").splitlines() if name]
