"""Verbs on the store of stage results."""

import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from benchmark.cli.requests import CleanRequest, PullRequest, PushRequest, StoreRequest, UsageRequest
from benchmark.engine.housekeeping import Entry, entries, remove, surplus
from benchmark.engine.remote_store import Place, RemoteStore
from benchmark.engine.resources import placement
from benchmark.engine.store import Store, damage, store_root
from benchmark.errors import StoreError
from benchmark.experiments.run_record import RECORD, read_record
from benchmark.utils.formatting import plural
from benchmark.utils.processes import process_map, worker_count

MIB = 2**20


def verify(request: StoreRequest) -> int:
    """Print a line per damaged result; return 1 if there is one.

    Raises:
        StoreError: there is no store.
    """
    store = _store()
    folders, workers = store.folders(), worker_count("cpu", request.workers)
    faults = dict(zip(folders, process_map(damage, folders, workers, where="store verify"), strict=True))
    damaged = {folder: fault for folder, fault in faults.items() if fault}
    for folder, fault in damaged.items():
        print(f"{folder}: {fault}", file=sys.stderr)
    print(f"{plural(len(folders), 'result')} in {store.root}, {len(damaged)} damaged")
    if damaged:
        print("Delete the folder of a damaged result; the next run computes it again.")
    return 1 if damaged else 0


def usage(request: UsageRequest) -> int:
    """Print results and size of every stage, and of the unfinished work of writers that are gone."""
    store = _store()
    parts: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries(store):
        if not request.stages or entry.part in request.stages:
            parts[entry.part].append(entry)
    for part, each in sorted(parts.items(), key=lambda item: -_size(item[1])):
        print(f"{part:<16}{len(each):>8}{_size(each) / MIB:>12.1f} MiB")
    everything = [entry for each in parts.values() for entry in each]
    print(f"{'all':<16}{len(everything):>8}{_size(everything) / MIB:>12.1f} MiB in {store.root}")
    return 0


def clean(request: CleanRequest) -> int:
    """Remove results and unfinished work by age and run.

    Raises:
        StoreError: neither an age nor a run is given, a run has no record of its results, or a run uses the
            store.
    """
    if request.older_than is None and not request.run:
        raise StoreError("store gc", "needs --older-than DAYS or --run OUT", "--dry-run removes nothing.")
    store = _store()
    only = _results(store, request.run) if request.run else None
    gone = surplus(entries(store), request.older_than, only, _results(store, request.keep))
    if not request.dry_run:
        remove(store, gone)
    else:
        for entry in gone:
            print(f"{entry.folder}  {entry.bytes / MIB:.1f} MiB")
    verb = "would be removed" if request.dry_run else "removed"
    print(f"{plural(len(gone), 'folder')} of {_size(gone) / MIB:.1f} MiB {verb} in {store.root}")
    return 0


def push(request: PushRequest) -> int:
    """Upload the results that a remote store lacks."""
    store = _store()
    places = _recorded([request.run]) if request.run else [(f.parent.name, f.name) for f in store.folders()]
    sent = RemoteStore(request.remote).push(store, places)
    print(
        f"{plural(len(sent), 'result')} sent to {request.remote}, {len(set(places)) - len(sent)} not needed"
    )
    return 0


def pull(request: PullRequest) -> int:
    """Download the results that a run needs, or all of them."""
    store, remote = Store(store_root()), RemoteStore(request.remote)
    places: Iterable[Place] = remote.places() if request.everything else _needed(request)
    received = remote.pull(store, places)
    print(f"{plural(len(received), 'result')} received from {request.remote}, in {store.root}")
    return 0


def _needed(request: PullRequest) -> list[Place]:
    from benchmark.experiments.run import UNTIL
    from benchmark.planning.graph import build
    from benchmark.planning.resolve import make_plan

    where = placement(request.executor, request.cluster)
    plan = make_plan(request, stages=UNTIL["run"], placement=where if where.elsewhere else None)
    graph = build(plan).until(UNTIL["run"])
    return [(node.stage, graph.keys[node.id]) for node in graph]


def _store() -> Store:
    root = store_root()
    if not (root / "results").is_dir():
        raise StoreError(f"store {root}", "holds no results", "Set SYNTHTHORAX_STORE to the store's folder.")
    return Store(root)


def _size(some: Iterable[Entry]) -> int:
    return sum(entry.bytes for entry in some)


def _recorded(runs: Iterable[Path]) -> list[Place]:
    """Return the results that the records of some runs name."""
    places: list[Place] = []
    for run in runs:
        record = read_record(run)
        if not record.results:
            raise StoreError(f"{run / RECORD}", "names no results", "Run the same command again, then this.")
        places += record.results
    return places


def _results(store: Store, runs: Iterable[Path]) -> set[Path]:
    return {store.folder(*place) for place in _recorded(runs)}
