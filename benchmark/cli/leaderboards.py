"""Verbs that compare bundles, and that write leaderboards and tables."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from benchmark.bundles.io import MANIFEST, read_bundles
from benchmark.bundles.standing import SIGNERS
from benchmark.cli.options import WHERE
from benchmark.cli.requests import CompareRequest, LeaderboardRequest, TablesRequest
from benchmark.errors import BenchmarkError
from benchmark.experiments.run import make_folder
from benchmark.intake.signature import sign
from benchmark.reporting import write_tables as reporting
from benchmark.reporting.formats import TABLES
from benchmark.reporting.leaderboards import build
from benchmark.reporting.leaderboards.board_folders import RESULTS, read_rows
from benchmark.reporting.leaderboards.publish import check_leaderboard, publish
from benchmark.reporting.leaderboards.publish import compare_bundles as compare
from benchmark.submissions.accept import Pages, add
from benchmark.utils.commands import command
from benchmark.utils.files import write_json
from benchmark.utils.formatting import plural
from benchmark.utils.outputs import refuse_foreign_files
from benchmark.verification import boards
from benchmark.verification.data import DataCache
from benchmark.verification.request import VerifyRequest
from benchmark.verification.row import SUITE
from benchmark.verification.verify import require_no_fault


def compare_bundles(request: CompareRequest) -> int:
    """Compare bundles and write ``comparison.json``."""
    out = request.out or request.bundles.parent
    make_folder(out)
    path = out / "comparison.json"
    refuse_foreign_files([path], path, '"can_measure":')
    write_json(path, compare(read_bundles(request.bundles)).to_json())
    print(path)
    return 0


def write_tables(request: TablesRequest) -> int:
    """Write tables and figures in the shapes of the papers'."""
    make_folder(request.out)
    refuse_foreign_files([request.out / reporting.INDEX], request.out / reporting.INDEX, TABLES)
    for path in reporting.write_tables(list(request.bundles), request.out):
        print(path)
    return 0


def render_leaderboards(request: LeaderboardRequest) -> int:
    """Render the bundles of one run; without any, make, check or extend the pages of all leaderboards.

    Raises:
        BenchmarkError: options that exclude each other.
    """
    if request.check and (request.add or request.bundles or request.sign):
        other = "--add" if request.add else "--bundles" if request.bundles else "--sign"
        raise BenchmarkError(WHERE, f"--check and {other} exclude each other", "Leave one out.")
    if not request.bundles:
        return _make_pages(request)
    if request.add or request.sign or request.verify:
        other = "--add" if request.add else "--sign" if request.sign else "--verify"
        raise BenchmarkError(WHERE, f"--bundles and {other} exclude each other", "Leave one out.")
    out = request.out or request.bundles.parent
    make_folder(out)
    check_leaderboard(out)
    publish(read_bundles(request.bundles), out)
    for kind in ("md", "json", "html"):
        print(out / f"leaderboard.{kind}")
    return 0


def _make_pages(request: LeaderboardRequest) -> int:
    """Make the pages under ``--root``; return 1 for a failed row, or a page that ``--check`` finds stale."""
    root = request.root
    signers = root / SIGNERS
    checks = VerifyRequest(
        task=request.task,
        source=request.source,
        root=request.data,
        allowed_signers=signers if signers.is_file() else None,
    )
    if request.add:
        build.check_pages(root, ["README.md", "index.html"])
        verify = partial(require_no_fault, request=checks, cache=DataCache(request.data))
        for path in add(request.add, root, verify, request.board, request.replace, _pages_with(request)):
            print(f"added {path}")
    if request.sign:
        _sign_rows(root, request.board, request.sign)
    pages = build.build_pages(root, request.workers)
    if request.check:
        faults = build.stale_pages(root, pages)
        faults += [f"Make the pages again: {command('leaderboard', '--root', root)}"] if faults else []
    else:
        faults = []
        for path in build.write_pages(root, pages):
            print(path)
        for path in build.surplus(root, pages):
            print(f"no leaderboard has the page {path}: remove it")
    if request.verify:
        rows = boards.changed_rows(root, request.since) if request.since else boards.all_rows(root)
        faults += boards.verify_boards(rows, checks, request.workers)
        print(f"verified {plural(len(rows), 'row')}")
    for line in faults:
        print(line)
    return 1 if faults else 0


def _pages_with(request: LeaderboardRequest) -> Pages:
    """Return the function that makes the pages of a board with rows that are being added."""

    def changed(staged: Mapping[Path, Path]) -> dict[Path, bytes]:
        return build.changed_files(request.root, build.build_pages(request.root, request.workers, staged))

    return changed


def _sign_rows(root: Path, board: str | None, key: Path) -> None:
    """Sign the bundles of a board that the project ran, as a maintainer."""
    if board is None:
        raise BenchmarkError(WHERE, "--sign needs --board", "Name the board whose rows the project ran.")
    for bundle in read_rows(root / RESULTS / board):
        if bundle.manifest.submission_type == SUITE:
            print(sign(root / RESULTS / board / bundle.manifest.row.name / MANIFEST, key))
