"""The verb on the tracking store."""

from benchmark.cli.requests import RepairRequest
from benchmark.experiments.tracking_repair import repair
from benchmark.experiments.tracking_store import shown, tracking_uri


def repair_store(request: RepairRequest) -> int:
    """Print every experiment whose artifacts were found again."""
    lines = list(repair(tracking_uri(), request.artifacts))
    print("\n".join(lines) or f"{shown(tracking_uri())}: nothing to repair")
    return 0
