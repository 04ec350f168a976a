"""Verbs that compare bundles, and that write leaderboards and tables."""

from functools import partial

from benchmark.bundles.io import read_bundles
from benchmark.cli.options import WHERE
from benchmark.cli.requests import CompareRequest, LeaderboardRequest, TablesRequest
from benchmark.errors import BenchmarkError
from benchmark.experiments.run import make_folder
from benchmark.reporting import write_tables as reporting
from benchmark.reporting.formats import TABLES
from benchmark.reporting.leaderboards import build
from benchmark.reporting.leaderboards.publish import check_leaderboard, publish
from benchmark.reporting.leaderboards.publish import compare_bundles as compare
from benchmark.submissions.accept import add
from benchmark.utils.files import write_json
from benchmark.utils.outputs import refuse_foreign_files
from benchmark.verification.request import VerifyRequest
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
    if request.check and (request.add or request.bundles):
        other = "--add" if request.add else "--bundles"
        raise BenchmarkError(WHERE, f"--check and {other} exclude each other", "Leave one out.")
    if not request.bundles:
        return _make_pages(request)
    if request.add:
        raise BenchmarkError(WHERE, "--bundles and --add exclude each other", "Leave one out.")
    out = request.out or request.bundles.parent
    make_folder(out)
    check_leaderboard(out)
    publish(read_bundles(request.bundles), out)
    for kind in ("md", "json", "html"):
        print(out / f"leaderboard.{kind}")
    return 0


def _make_pages(request: LeaderboardRequest) -> int:
    """Make the pages under ``--root``; return 1 if ``--check`` finds one that is not up to date."""
    root = request.root
    if request.add:
        build.check_pages(root, ["README.md", "index.html"])
        signers = root / build.SIGNERS
        checks = VerifyRequest(
            task=request.task,
            source=request.source,
            root=request.data,
            allowed_signers=signers if signers.is_file() else None,
        )
        verify = partial(require_no_fault, request=checks)
        for path in add(request.add, root, verify, request.board, request.replace):
            print(f"added {path}")
    pages = build.build_pages(root, request.workers)
    if request.check:
        faults = build.stale_pages(root, pages)
        remedy = [f"Make the pages again: python -m benchmark leaderboard --root {root}"] if faults else []
        for line in (*faults, *remedy):
            print(line)
        return 1 if faults else 0
    for path in build.write_pages(root, pages):
        print(path)
    for path in build.surplus(root, pages):
        print(f"no leaderboard has the page {path}: remove it")
    return 0
