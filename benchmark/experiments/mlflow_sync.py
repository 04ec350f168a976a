"""Send what earlier runs could not: their entries wait on the disk beside the store."""

import sys
import time
from collections.abc import Callable
from functools import partial

from benchmark.engine.store import store_root
from benchmark.errors import TrackingError
from benchmark.experiments.mlflow_errors import is_refused, reason, tracking_errors
from benchmark.experiments.mlflow_sender import PAUSES, replay
from benchmark.experiments.mlflow_tracker import quiet
from benchmark.experiments.outbox import release, take_left
from benchmark.experiments.request import SyncRequest
from benchmark.experiments.tracking_store import identity, prepare, shown, tracking_uri, unusable
from benchmark.utils.formatting import plural

PAUSE_SECONDS = 5.0


def sync(request: SyncRequest) -> int:
    """Send the entries of every run that has ended; return 1 if the tracking store refused some for good.

    Raises:
        TrackingError: the tracking store cannot be used, or stays away; the entries wait on.
    """
    uri, folder = tracking_uri(), store_root() / "tracking"
    left = take_left(folder, identity(uri))
    if not left:
        print(f"Nothing in {folder} waits for the tracking store {shown(uri)}.")
        return 0
    quiet()
    from mlflow.tracking import MlflowClient

    waiting, refused = list(left), list[str]()
    send = partial(_send, until=time.monotonic() + request.seconds, refused=refused)
    try:
        with tracking_errors(uri):
            prepare(uri)
            client = MlflowClient(uri)
        while waiting:
            replay(waiting[0], client, send)
            waiting.pop(0)
    except TrackingError as error:
        problem = f"{error.problem}. The records of {plural(len(waiting), 'run')} wait in {folder}"
        raise unusable(uri, problem, "Start it, then run this again.") from error
    finally:
        for each in waiting:
            release(each.path)
    print(f"Sent what {plural(len(left), 'run')} had left to {shown(uri)}.")
    if refused:
        print(f"Refused {plural(len(refused), 'record')}: {refused[0]}", file=sys.stderr)
    return 1 if refused else 0


def _send(call: Callable[[bool], None], *, again: bool = False, until: float, refused: list[str]) -> None:
    """Call until it succeeds or is refused, or until some time."""
    attempt = 0
    while True:
        try:
            return call(again or attempt > 0)
        except Exception as error:
            if is_refused(error):
                refused.append(reason(error))
                return None
            if time.monotonic() > until:
                raise TrackingError("", reason(error)) from error
        time.sleep(PAUSES[attempt] if attempt < len(PAUSES) else PAUSE_SECONDS)
        attempt += 1
