"""Build the pages under ``leaderboards/`` from the bundles there, and find pages that are stale."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmark.bundles.seasons import SEASONS, read_seasons
from benchmark.bundles.standing import MAINTAINERS, SIGNERS
from benchmark.errors import SubmissionError
from benchmark.reporting.leaderboards import html, markdown
from benchmark.reporting.leaderboards.board import Board
from benchmark.reporting.leaderboards.board_folders import (
    RESULTS,
    board_folders,
    one_board_per_protocol,
    read_board,
)
from benchmark.reporting.leaderboards.json_record import dump, task_record
from benchmark.utils.files import disk_errors, write_bytes
from benchmark.utils.outputs import refuse_foreign_files
from benchmark.utils.processes import process_map, worker_count

NOT_PAGES = (RESULTS, SIGNERS, MAINTAINERS, SEASONS)
PAGE = "by `python -m benchmark leaderboard`. Do not edit"  # in README.md, and marks all pages


def build_pages(root: Path, workers: int | None = None) -> dict[str, bytes]:
    """Render all pages of the boards under ``root/results``; write nothing.

    Args:
        root: the folder of the pages.
        workers: boards compared at once; by default one per core.
    Returns:
        Contents by file name.
    Raises:
        SubmissionError: there is no board, or a bundle is refused.
    """
    return {name: text.encode() for name, text in pages(read_boards(root, workers)).items()}


def pages(boards: Sequence[Board]) -> dict[str, str]:
    """Render ``README.md``, ``index.html``, and ``<task>.md`` and ``<task>.json`` of every task.

    Args:
        boards: at least one, in any order.
    Returns:
        Texts by file name.
    Raises:
        SubmissionError: there is no board, or two have one name.
    """
    ordered = sorted(boards, key=lambda b: (b.task, b.name))
    names = [b.name for b in ordered]
    if not ordered or len(set(names)) < len(names):
        raise SubmissionError("leaderboards", f"expected boards of different names, got {names}")
    texts = {"README.md": markdown.index_page(ordered), "index.html": html.site_page(ordered)}
    for task in sorted({b.task for b in ordered}):
        own = [b for b in ordered if b.task == task]
        texts[f"{task}.md"] = markdown.task_page(own)
        texts[f"{task}.json"] = dump(task_record(own))
    return texts


def read_boards(root: Path, workers: int | None = None) -> list[Board]:
    """Read and compare the boards under ``root/results``.

    Raises:
        SubmissionError: there is no board, a bundle is refused, or a row was tested on the sealed test of a
            season that is not among those of ``root``.
        TaskError: the revealed seed of a season does not match its commitment.
    """
    folders, seasons = board_folders(root), read_seasons(root)
    count = min(len(folders), worker_count("cpu", workers))
    boards = list(process_map(read_board, folders, count, where="leaderboard"))
    one_board_per_protocol(boards)
    known = {(each.season, each.commitment) for each in seasons}
    for board in boards:
        for row, standing in board.standings.items():
            if (own := standing.sealed) and (own.season, own.commitment) not in known:
                problem = f"'{own.season}' is not in {root / SEASONS} with its commitment"
                raise SubmissionError(f"board {board.name}: row '{row}': season", problem, "Verify it again.")
    return boards


def write_pages(root: Path, contents: dict[str, bytes]) -> list[Path]:
    """Write the pages that differ, each atomically, and return the paths of all pages.

    Raises:
        StoreError: ``root`` cannot be written, or has a page of somebody else.
    """
    check_pages(root, contents)
    paths = {root / name: content for name, content in contents.items()}
    for path, content in paths.items():
        with disk_errors(path):
            if not path.is_file() or path.read_bytes() != content:
                write_bytes(path, content)
    return list(paths)


def check_pages(root: Path, names: Iterable[str]) -> None:
    """Refuse a folder with a file of a page's name that the suite did not write.

    Raises:
        StoreError: names the file.
    """
    refuse_foreign_files([root / name for name in names], root / "README.md", PAGE)


def stale_pages(root: Path, contents: dict[str, bytes]) -> list[str]:
    """One line for each page under ``root`` that is stale, missing or surplus."""
    lines = []
    for name, content in sorted(contents.items()):
        path = root / name
        if not path.is_file():
            lines.append(f"{path}: missing")
        elif path.read_bytes() != content:
            lines.append(f"{path}: stale")
    return lines + [f"{path}: surplus" for path in surplus(root, contents)]


def surplus(root: Path, contents: dict[str, bytes]) -> list[Path]:
    """Files under ``root`` that no board produces; hidden files are ignored."""
    known = {*contents, *NOT_PAGES}
    return sorted(p for p in root.iterdir() if p.name not in known and not p.name.startswith("."))
