"""Compare the bundles of a run and write its leaderboard."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmark.bundles.io import Bundle
from benchmark.comparison.compare import compare
from benchmark.comparison.records import Comparison
from benchmark.reporting.formats import value_range
from benchmark.utils.files import disk_errors, write_text
from benchmark.utils.outputs import refuse_foreign_files

RESULTS = {True: "held", False: "DID NOT HOLD", None: "no result"}


def compare_bundles(bundles: Iterable[Bundle]) -> Comparison:
    """Compare bundles, with the learning curve of the one that has it."""
    rows = list(bundles)
    curve = next((b.curve for b in rows if b.curve is not None), None)
    return compare(((b.manifest.record(), b.predictions) for b in rows), curve)


def publish(bundles: Sequence[Bundle], out: Path) -> Comparison:
    """Compare bundles and write their leaderboard into ``out``."""
    comparison = compare_bundles(bundles)
    write_leaderboard(bundles, comparison, out)
    return comparison


def write_leaderboard(bundles: Sequence[Bundle], comparison: Comparison, out: Path) -> dict[str, Path]:
    """Write ``leaderboard.md``, ``leaderboard.json`` and ``leaderboard.html``, each atomically.

    Args:
        bundles: one per row.
        comparison: of the same bundles.
        out: created if it does not exist.
    Returns:
        The paths by kind: ``md``, ``json``, ``html``.
    Raises:
        SubmissionError: the comparison is not of these bundles.
        StoreError: ``out`` cannot be written, or holds pages of somebody else.
    """
    from benchmark.reporting.leaderboards import html, markdown
    from benchmark.reporting.leaderboards.board import Board
    from benchmark.reporting.leaderboards.json_record import board_record, dump

    board = Board(bundles, comparison)
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


def headline(comparison: Comparison) -> str:
    """Summary for the terminal: the rows in order, with their intervals, and the controls."""
    ranks, metric = comparison.ranking.rows, comparison.settings.primary_metric.name
    means = {name: figures.metrics[metric] for name, figures in comparison.primary.items()}
    lines = []
    for name, mean in sorted(means.items(), key=lambda item: -item[1].estimate):
        rank = ranks[name].rank if name in ranks else "-"
        interval = value_range(mean, in_percent=True)
        lines.append(f"  {rank:>2}  {name:<16} {100 * mean.estimate:5.1f} %  {interval}")
    lines += [f"   -  {name:<16} failed: {why.splitlines()[0]}" for name, why in comparison.failed.items()]
    lines += [f"control: {c.claim}: {RESULTS[c.held]}" for c in comparison.controls]
    return "\n".join(lines)
