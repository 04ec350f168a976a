"""The pages under ``leaderboards/``: made of the bundles there, and checked against them."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path

from benchmark.comparison.reported import confirm
from benchmark.errors import StoreError
from benchmark.reporting.leaderboards.board_pages import pages
from benchmark.reporting.leaderboards.boards import (
    RESULTS,
    Board,
    board_folders,
    make_board,
    one_board_per_protocol,
    read_rows,
)
from benchmark.reporting.leaderboards.compare import compare_rows
from benchmark.utils.processes import die_with_parent, worker_count

SIGNERS = "allowed_signers"  # keys of known authors, kept by hand
KEPT = {RESULTS, SIGNERS}


def make(root: Path, workers: int | None = None) -> dict[str, bytes]:
    """All pages of the boards under ``root/results``: contents by file name.

    Args:
        root: the folder that the pages lie in; nothing is written.
        workers: boards that are compared at once; as many as cores where None.
    Raises:
        SubmissionError: there is no board, or a bundle is refused.
    """
    return {name: text.encode() for name, text in pages(read_boards(root, workers)).items()}


def read_boards(root: Path, workers: int | None = None) -> list[Board]:
    """The boards under ``root/results``, compared; without predictions, since no page needs them again."""
    folders = board_folders(root)
    count = min(len(folders), worker_count("cpu", workers))
    boards = [read_board(f) for f in folders] if count == 1 else _in_processes(folders, count)
    one_board_per_protocol(boards)
    return boards


def read_board(folder: Path) -> Board:
    """One board, compared, without predictions; what its rows report must come out of them again."""
    bundles = read_rows(folder)
    for bundle in bundles:
        if bundle.predictions is not None:
            confirm(bundle.manifest.record(), bundle.predictions)
    comparison = compare_rows(bundles)
    return make_board(folder, [replace(b, predictions=None, curve=None) for b in bundles], comparison)


def _in_processes(folders: list[Path], count: int) -> list[Board]:
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(count, context, initializer=die_with_parent)
    try:
        return list(pool.map(read_board, folders))
    except BrokenProcessPool:
        raise StoreError(
            "leaderboard", "a worker was ended by the system, most likely for want of memory",
            "Use fewer --workers.",
        ) from None  # fmt: skip
    finally:
        pool.shutdown(cancel_futures=True)


def write(root: Path, made: dict[str, bytes]) -> list[Path]:
    """Write the pages that differ, each atomically; returns the paths of all of them.

    Raises:
        StoreError: ``root`` cannot be written.
    """
    for name, content in made.items():
        path = root / name
        try:
            if path.is_file() and path.read_bytes() == content:
                continue
            part = path.with_name(f"{name}.part")
            part.write_bytes(content)
            os.replace(part, path)
        except OSError as error:
            raise StoreError(str(path), str(error.strerror), "Give a folder that can be written.") from None
    return [root / name for name in made]


def faults(root: Path, made: dict[str, bytes]) -> list[str]:
    """What under ``root`` is not as the bundles make it: files that are stale, missing or surplus."""
    wrong = [_fault(root / name, content) for name, content in sorted(made.items())]
    return [fault for fault in wrong if fault] + [f"{path}: surplus" for path in surplus(root, made)]


def surplus(root: Path, made: dict[str, bytes]) -> list[Path]:
    """What lies under ``root`` though no board makes it; hidden files are left alone."""
    known = {*made, *KEPT}
    return sorted(p for p in root.iterdir() if p.name not in known and not p.name.startswith("."))


def _fault(path: Path, content: bytes) -> str:
    if not path.is_file():
        return f"{path}: missing"
    return "" if path.read_bytes() == content else f"{path}: stale"
