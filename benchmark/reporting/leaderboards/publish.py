"""Compare the bundles of a run and write its leaderboard."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.bundles.io import Bundle
from benchmark.comparison.compare import compare
from benchmark.comparison.records import Comparison
from benchmark.utils.files import disk_errors, write_text
from benchmark.utils.outputs import refuse_foreign_files

if TYPE_CHECKING:
    from benchmark.reporting.leaderboards.board import Board


def compare_bundles(bundles: Iterable[Bundle]) -> Comparison:
    """Compare bundles, with the learning curve of the one that has it."""
    rows = list(bundles)
    curve = next((b.curve for b in rows if b.curve is not None), None)
    return compare(((b.manifest.record(), b.predictions) for b in rows), curve)


def publish(bundles: Sequence[Bundle], out: Path) -> "Board":
    """Compare bundles, write their leaderboard into ``out``, and return its model."""
    from benchmark.reporting.leaderboards.board import Board

    board = Board(bundles, compare_bundles(bundles))
    write_board(board, out)
    return board


def write_board(board: "Board", out: Path) -> dict[str, Path]:
    """Write ``leaderboard.md``, ``leaderboard.json`` and ``leaderboard.html``, each atomically.

    Args:
        out: created if it does not exist.
    Returns:
        The paths by kind: ``md``, ``json``, ``html``.
    Raises:
        StoreError: ``out`` cannot be written, or holds pages of somebody else.
    """
    from benchmark.reporting.leaderboards import html, markdown
    from benchmark.reporting.leaderboards.json_record import board_record, dump

    pages = {"json": dump(board_record(board)), "md": markdown.run_page(board), "html": html.run_page(board)}
    paths = {kind: out / f"leaderboard.{kind}" for kind in pages}
    check_leaderboard(out)
    with disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        for kind, path in paths.items():  # the first is the mark of the others
            write_text(path, pages[kind])
    return paths


def check_leaderboard(out: Path) -> None:
    """Refuse a folder with a file of a leaderboard's name that the suite did not write.

    Raises:
        StoreError: names the file.
    """
    files = [out / f"leaderboard.{kind}" for kind in ("md", "json", "html")]
    refuse_foreign_files(files, out / "leaderboard.json", '"protocol_hash"')
