"""The verb on the store of stage results."""

import sys

from benchmark.cli.requests import StoreRequest
from benchmark.engine.store import Store, damage, store_root
from benchmark.errors import StoreError
from benchmark.utils.formatting import plural
from benchmark.utils.processes import process_map, worker_count


def verify(request: StoreRequest) -> int:
    """Print a line per damaged result; return 1 if there is one.

    Raises:
        StoreError: there is no store.
    """
    root = store_root()
    if not (root / "results").is_dir():
        raise StoreError(f"store {root}", "holds no results", "Set SYNTHTHORAX_STORE to the store's folder.")
    folders, workers = Store(root).folders(), worker_count("cpu", request.workers)
    faults = dict(zip(folders, process_map(damage, folders, workers, where="store verify"), strict=True))
    damaged = {folder: fault for folder, fault in faults.items() if fault}
    for folder, fault in damaged.items():
        print(f"{folder}: {fault}", file=sys.stderr)
    print(f"{plural(len(folders), 'result')} in {root}, {len(damaged)} damaged")
    if damaged:
        print("Delete the folder of a damaged result; the next run computes it again.")
    return 1 if damaged else 0
