"""Execute a plan up to a verb's stage: compute, track, and write what people read."""

import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmark.bundles.assemble import write_bundles
from benchmark.bundles.io import bundle_folders, read_bundles
from benchmark.engine.claim import sole_writer
from benchmark.engine.events import CompositeObserver
from benchmark.engine.node import Graph
from benchmark.engine.outcome import Outcome
from benchmark.engine.resources import LOCAL, Placement
from benchmark.engine.runner import execute
from benchmark.engine.store import Store, store_errors, store_root
from benchmark.errors import BenchmarkError, StoreError, TrackingError
from benchmark.experiments.mlflow_tracker import Tracker
from benchmark.experiments.progress import Progress
from benchmark.experiments.run_record import check_record, write_record
from benchmark.planning.graph import build
from benchmark.planning.plan import Plan
from benchmark.planning.request import RunRequest
from benchmark.reporting.leaderboards.board import Board
from benchmark.reporting.leaderboards.publish import check_leaderboard, publish
from benchmark.stages import run as run_stage
from benchmark.utils.files import GIVE_ANOTHER, atomic_folder, disk_errors
from benchmark.utils.hashing import sha256_of
from benchmark.utils.outputs import refuse_foreign_folders
from benchmark.utils.processes import worker_count

# Stages in which each verb ends; it computes them and all that they need.
UNTIL = {
    "data": {"data", "pseudo_label"},
    "generate": {"generate", "quality_filter"},
    "measure": {"measure"},
    "classify": {"classify", "learning_curve"},
    "run": {"measure", "gan_test", "classify", "learning_curve"},
}
ESSENTIAL = ("data", "pseudo_label")  # every row needs them, of every fold
NO_NODES = Graph(())
NOT_COPIED = (
    "fit",
    "sample",
    "guide",
    "resized_data",
    "reference",
    "segment",
)  # results that no reader looks at


@dataclass(frozen=True)
class Finished:
    """A run that has ended, and the paths that it wrote; ``board`` if it compared all rows."""

    graph: Graph
    outcome: Outcome
    out: Path
    written: list[Path]
    seconds: float
    board: Board | None = None


def run(
    plan: Plan,
    verb: str,
    out: Path,
    workers: int | None = None,
    parent: str | None = None,
    only: str | None = None,
    placement: Placement = LOCAL,
) -> Finished:
    """Execute a plan up to a verb's stage, track it, and write what people read.

    Args:
        placement: where stages are computed.
        parent: MLflow run to nest this run in, for one of several.
        only: compute this row and what it needs, and write its bundle to ``out / only``, no leaderboard.
    Raises:
        BenchmarkError: the data of a fold cannot be had, so that no row can be computed.
        StoreError, TrackingError: nothing unfinished counts as complete.
        StoreError: another process writes to ``out``, or into the MLflow run that ``mlflow run`` started.
    """
    make_folder(out)
    store, adopted = Store(store_root()), "" if parent else os.environ.get("MLFLOW_RUN_ID", "")
    with ExitStack() as held:
        held.enter_context(writing_alone(out))
        if adopted:
            remedy = "Wait for its end, or unset MLFLOW_RUN_ID."
            folder, where = store.root / "work", f"MLflow run {adopted}"
            held.enter_context(sole_writer(folder, f"mlflow-{adopted}", where, remedy))
        return _run(plan, verb, out, workers, parent, only, store, placement)


def _run(
    plan: Plan,
    verb: str,
    out: Path,
    workers: int | None,
    parent: str | None,
    only: str | None,
    store: Store,
    placement: Placement,
) -> Finished:
    began = time.monotonic()
    graph = build(plan).until(UNTIL[verb], only)
    count = worker_count("cpu" if placement.elsewhere else plan.device, workers)
    check_outputs(out, verb, graph, only)
    with closing(Progress(graph, count)) as progress:
        progress.phase("opening the tracking store")
        tracker = Tracker(plan, verb, graph, parent=parent)
        try:
            outcome = execute(
                graph,
                store,
                run_stage,
                workers=count,
                observer=CompositeObserver(progress, tracker),
                essential=lambda node: node.stage in ESSENTIAL,
                placement=placement,
            )
            progress.phase("writing the results")
            with _disk_errors(out, store):
                written, board = _write(plan, verb, graph, outcome, out, tracker, only)
            status, error = "FAILED" if outcome.failures else "FINISHED", "\n".join(outcome.report())
            tracker.close(status, time.monotonic() - began, error)
        except BaseException as fault:
            close_after(fault, tracker, time.monotonic() - began)
            raise
    return Finished(graph, outcome, out, written, time.monotonic() - began, board)


def close_after(fault: BaseException, tracker: Tracker, seconds: float) -> None:
    """Close the runs of a tracker after an error; an error of tracking would only hide it."""
    with suppress(TrackingError):
        if isinstance(fault, KeyboardInterrupt):
            tracker.close("KILLED", seconds, f"stopped by {fault}")
        else:
            error = str(fault) if isinstance(fault, BenchmarkError) else repr(fault)
            tracker.close("FAILED", seconds, error)


@contextmanager
def _disk_errors(out: Path, store: Store) -> Iterator[None]:
    """Report every ``OSError`` of a block as one line that names the store or the output folder."""
    try:
        yield
    except OSError as error:
        in_store = Path(str(error.filename)).resolve().is_relative_to(store.root.resolve())
        with store_errors(store.root) if in_store else disk_errors(f"--out {out}"):
            raise


def folder_name(name: str, scenario: str | None, *more: str) -> str:
    """Return the name of an output folder; another protocol has another folder."""
    chosen = [p for p in (scenario or "").split(",") if p.strip()]
    return "-".join([name, *map(folder_part, (*chosen, *more))])


def folder_part(text: str) -> str:
    """Return a choice as a part of a folder's name."""
    return re.sub("[^0-9A-Za-z_.=]+", "_", text)


def choice_parts(plan: Plan, request: RunRequest) -> list[str]:
    """Return what a run chooses, beside its scenario, as parts of a folder's name."""
    chosen = {"seeds": "_".join(map(str, request.seeds)), "only": "_".join(request.only)}
    parts = [f"{name}={_short(text)}" for name, text in chosen.items() if text]
    return [*settings_part(plan), *parts, *weights_part(plan, request.weights)]


def settings_part(plan: Plan) -> list[str]:
    """Return the settings as parts of a folder's name; a long value by its hash."""
    return [f"{name}={_short(str(value))}" for name, value in plan.settings.items()]


def _short(text: str) -> str:
    return text if len(text) <= 24 else sha256_of(text)[:8]


def weights_part(plan: Plan, weights: str | None) -> list[str]:
    """Return chosen weights as a part of a folder's name; a folder of weights by name and content."""
    if not weights:
        return []
    if weights in ("none", "imagenet"):
        return [f"weights={weights}"]
    content = sha256_of([c.weights.sha256 for c in plan.profile.classifiers])
    return [f"weights={Path(weights).resolve().name}.{content[:8]}"]


def make_folder(folder: Path) -> None:
    """Create an output folder.

    Raises:
        StoreError: it cannot be written, is a file, or lies among the stored results.
    """
    if os.path.lexists(folder) and not folder.is_dir():
        raise StoreError(f"--out {folder}", "is not a folder", GIVE_ANOTHER)
    for inside in ("results", "work"):
        if folder.resolve().is_relative_to((store_root() / inside).resolve()):
            raise StoreError(f"--out {folder}", "lies among the results of the store", "Give another folder.")
    with disk_errors(f"--out {folder}"):
        folder.mkdir(parents=True, exist_ok=True)


def writing_alone(out: Path) -> AbstractContextManager[None]:
    """Return a context in which no other process may write to an output folder.

    Raises:
        StoreError: another process does; the error names it.
    """
    return sole_writer(out, ".writer", f"--out {out}", "Wait for its end, stop it, or give another --out.")


def check_outputs(out: Path, verb: str, graph: Graph = NO_NODES, only: str | None = None) -> None:
    """Refuse an output folder where the results of a verb would replace what the suite did not write.

    Raises:
        StoreError: names it.
    """
    check_record(out)
    if only is not None:
        refuse_foreign_folders([out / only])
    elif verb == "run":
        refuse_foreign_folders(bundle_folders(out / "bundles"))
        check_leaderboard(out)
    else:
        refuse_foreign_folders(out / node.id for node in graph if node.stage not in NOT_COPIED)


def _write(
    plan: Plan, verb: str, graph: Graph, outcome: Outcome, out: Path, tracker: Tracker, only: str | None
) -> tuple[list[Path], Board | None]:
    """Write what people read; return the paths, and the board of all rows if there is one."""
    write_record(plan, verb, graph, outcome, tracker.run_id, out)
    if verb != "run":
        return copy_results(graph, outcome, out), None
    if only is not None:
        write_bundles(plan, graph, outcome, out, only)
        return [out / only], None
    write_bundles(plan, graph, outcome, out / "bundles")
    board = publish(read_bundles(out / "bundles"), out)
    tracker.leaderboard(out, board)
    pages = [out / f"leaderboard.{kind}" for kind in ("md", "json", "html")]
    return [*pages, out / "bundles"], board


def copy_results(graph: Graph, outcome: Outcome, out: Path) -> list[Path]:
    """Copy the results of a partial verb to the folder that the user named."""
    written = []
    for node in graph:
        if node.id in outcome.results and node.stage not in NOT_COPIED:
            with atomic_folder(out / node.id) as part:
                shutil.copytree(outcome.results[node.id].folder, part, dirs_exist_ok=True)
            written.append(out / node.id)
    return written
