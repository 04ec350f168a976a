"""Build the pages under ``leaderboards/`` from the bundles there, and find pages that are stale."""

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from benchmark.bundles.seasons import SEASONS, read_seasons
from benchmark.bundles.standing import MAINTAINERS, SIGNERS
from benchmark.errors import SubmissionError
from benchmark.reporting.leaderboards import html, markdown
from benchmark.reporting.leaderboards.board import Board
from benchmark.reporting.leaderboards.board_folders import (
    RESULTS,
    boards_under,
    one_board_per_protocol,
    read_board,
)
from benchmark.reporting.leaderboards.cache import cached
from benchmark.reporting.leaderboards.json_record import dump, task_record
from benchmark.reporting.leaderboards.pictures import FOLDER, as_webp, pictures, shows
from benchmark.utils.files import disk_errors, write_together
from benchmark.utils.outputs import refuse_foreign_files
from benchmark.utils.processes import process_map, worker_count

NOT_PAGES = (RESULTS, SIGNERS, MAINTAINERS, SEASONS)
OWN_PICTURE = re.compile(r"[0-9a-f]{20}\.webp")
PAGE = "by `python -m benchmark leaderboard`. Do not edit"  # in README.md, and marks all pages


def build_pages(
    root: Path, workers: int | None = None, staged: Mapping[Path, Path] | None = None
) -> dict[str, bytes]:
    """Render all pages of the boards under ``root/results``; write nothing.

    Args:
        root: the folder of the pages.
        workers: boards compared at once; by default one per core.
        staged: temporary folders of rows that are being added, by the folder that each will become.
    Returns:
        Contents by file name; of a picture, its PNG.
    Raises:
        SubmissionError: there is no board, or a bundle is refused.
    """
    boards = read_boards(root, workers, staged)
    return {name: text.encode() for name, text in pages(boards).items()} | pictures(boards)


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


def read_boards(
    root: Path, workers: int | None = None, staged: Mapping[Path, Path] | None = None
) -> list[Board]:
    """Read and compare the boards under ``root/results``; one line on stderr tells of each.

    Raises:
        SubmissionError: there is no board, a bundle is refused, or a row was tested on the sealed test of a
            season that is not among those of ``root``.
        TaskError: the revealed seed of a season does not match its commitment.
    """
    folders, seasons = boards_under(root, staged or {}), read_seasons(root)
    unknown = [folder.name for folder in folders if cached(folder.key) is None]
    count = min(max(1, len(unknown)), worker_count("cpu", workers))
    boards: list[Board] = []
    for board in process_map(read_board, folders, count, where="leaderboard"):
        boards.append(board)
        how = "compared" if board.name in unknown else "unchanged"
        print(f"board {len(boards)} of {len(folders)}: {board.name}, {how}", file=sys.stderr, flush=True)
    one_board_per_protocol(boards)
    known = {(each.season, each.commitment) for each in seasons}
    for board in boards:
        for row, standing in board.standings.items():
            if (own := standing.sealed) and (own.season, own.commitment) not in known:
                problem = f"'{own.season}' is not in {root / SEASONS} with its commitment"
                raise SubmissionError(f"board {board.name}: row '{row}': season", problem, "Verify it again.")
    return boards


def write_pages(root: Path, contents: Mapping[str, bytes]) -> list[Path]:
    """Write the pages that differ, all of them or none, and return the paths of all pages.

    Raises:
        StoreError: ``root`` cannot be written, or has a page of somebody else.
    """
    with disk_errors(root):
        write_together(changed_files(root, contents))
    remove_old_pictures(root, contents)
    return [root / name for name in contents if not name.startswith(f"{FOLDER}/")]


def changed_files(root: Path, contents: Mapping[str, bytes]) -> dict[Path, bytes]:
    """Return the new content of every page and picture under ``root`` that differs, by its path.

    Raises:
        StoreError: a page of somebody else has the name of one of them.
    """
    check_pages(root, contents)
    return {
        root / name: as_webp(content) if _is_picture(name) else content
        for name, content in contents.items()
        if not _is_fresh(root / name, content)
    }


def remove_old_pictures(root: Path, contents: Mapping[str, bytes]) -> None:
    """Remove the suite's own pictures that no page shows any more; their names are hashes."""
    for path in surplus(root, contents):
        if path.parent == root / FOLDER and OWN_PICTURE.fullmatch(path.name):
            path.unlink(missing_ok=True)


def _is_picture(name: str) -> bool:
    return name.startswith(f"{FOLDER}/")


def _is_fresh(path: Path, content: bytes) -> bool:
    if not path.is_file():
        return False
    return shows(path, content) if path.suffix == ".webp" else path.read_bytes() == content


def check_pages(root: Path, names: Iterable[str]) -> None:
    """Refuse a folder with a file of a page's name that the suite did not write.

    Raises:
        StoreError: names the file.
    """
    refuse_foreign_files([root / name for name in names], root / "README.md", PAGE)


def stale_pages(root: Path, contents: Mapping[str, bytes]) -> list[str]:
    """One line for each page under ``root`` that is stale, missing or surplus."""
    lines = []
    for name, content in sorted(contents.items()):
        path = root / name
        if not path.is_file():
            lines.append(f"{path}: missing")
        elif not _is_fresh(path, content):
            lines.append(f"{path}: stale")
    return lines + [f"{path}: surplus" for path in surplus(root, contents)]


def surplus(root: Path, contents: Iterable[str]) -> list[Path]:
    """Files under ``root`` that no board produces; hidden files are ignored."""
    names = {*contents, *NOT_PAGES}
    known = {root / name for name in names}
    folder = root / FOLDER
    paths = [p for p in root.iterdir() if p != folder or not p.is_dir()]
    paths += list(folder.iterdir()) if folder.is_dir() else []
    return sorted(p for p in paths if p not in known and not p.name.startswith("."))
