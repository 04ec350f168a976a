"""Send tracking entries to MLflow in a thread, so that computing never waits for the tracking store."""

import random
import sys
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from benchmark.experiments.merging import is_live, merged
from benchmark.experiments.mlflow_errors import is_race, is_refused, reason
from benchmark.experiments.mlflow_writer import RunWriter
from benchmark.experiments.outbox import BEAT_SECONDS, Entry, LeftOutbox, Outbox, release
from benchmark.experiments.tracking_store import shown
from benchmark.utils.formatting import plural

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

PAUSES = (0.1, 0.3, 1.0)  # before an outage is reported; races and short locks end within them
LONG_PAUSES = (2.0, 5.0, 10.0, 20.0, 30.0)
GRACE_SECONDS = 30.0  # at the end of a run, without an entry sent; above MLflow's wait for a lock, 20 s
OUTAGE_SECONDS = 3.0  # the same, when sending has failed
LOOK_SECONDS = 1.0
MOST_SECONDS = 300.0  # at the end of a run, while entries are sent


def replay(left: LeftOutbox, client: "MlflowClient", send: Callable[..., None], continued: str = "") -> None:
    """Send the entries that a run has left, and end the run unless this process continues it."""
    writer = RunWriter(client, left.experiment, left.run_id)
    for entry in merged(list(left)):
        send(partial(writer.apply, entry), again=True)
    if left.run_id != continued:
        send(writer.end)
    left.path.unlink(missing_ok=True)


class _Stopped(Exception):
    """The run has ended, and what is not sent waits for the next start."""


class Sender:
    """A thread that sends the entries of an outbox, after those that earlier runs have left.

    An entry that fails is sent again later; one that the tracking store refuses for good is counted.

    Attributes:
        seconds: spent in calls of MLflow.
        outage: why nothing can be sent at present; empty while it can.
    """

    def __init__(self, uri: str, writer: RunWriter, outbox: Outbox, left: Sequence[LeftOutbox]) -> None:
        self.uri, self.writer, self.outbox, self.left = uri, writer, outbox, list(left)
        self.seconds, self.outage = 0.0, ""
        self._refused: list[str] = []
        self._last = time.monotonic()
        self._closing, self._stopped = threading.Event(), threading.Event()
        threading.Thread(target=self._work, name="tracking", daemon=True).start()

    def _work(self) -> None:
        try:
            while self.left:
                replay(self.left[0], self.writer.client, self._send, self.writer.run_id)
                self.left.pop(0)
            self._send(self.writer.end_orphans)
            pending: list[Entry] = []
            while not self._stopped.is_set():
                self.outbox.beat()
                seconds = LOOK_SECONDS if pending else BEAT_SECONDS
                pending = self._sent(merged([*pending, *self.outbox.take(seconds)]))
        except _Stopped:
            pass

    def _sent(self, pending: list[Entry]) -> list[Entry]:
        """Send what is due, and return the rest: young points of curves, which later ones join."""
        ending, held = {entry["name"] for entry in pending if entry["op"] == "end"}, []
        for entry in pending:
            if not self._closing.is_set() and is_live(entry, ending):
                held.append(entry)
                continue
            self._send(partial(self.writer.apply, entry))
            self.outbox.sent(entry.get("count", 1))
        return held

    def _send(self, call: Callable[[bool], None], again: bool = False) -> None:
        """Call until it succeeds or is refused; the call is told whether it may have had an effect before."""
        attempt = 0
        while True:
            began, why, refused, race = time.perf_counter(), "", False, False
            try:
                call(again or attempt > 0)
            except Exception as error:
                why, refused, race = reason(error), is_refused(error), is_race(error)
            self.seconds += time.perf_counter() - began
            if refused:
                self._refused.append(why)
            if refused or not why:
                self.outage, self._last = "", time.monotonic()
                return
            self._pause(attempt, why, race)
            attempt += 1

    def _pause(self, attempt: int, why: str, race: bool) -> None:
        """Wait before the next attempt, and report an outage once."""
        if self._stopped.is_set():
            raise _Stopped
        if attempt < len(PAUSES):
            self.outage = "" if race else why
            self._stopped.wait(PAUSES[attempt] * random.uniform(0.5, 1.5))
            return
        if attempt == len(PAUSES) and not self._closing.is_set():
            self._warn(f"{why}. The run continues, and its tracking waits in {self.outbox.path}.")
        self.outage = why
        self.outbox.beat()
        seconds = LONG_PAUSES[min(attempt - len(PAUSES), len(LONG_PAUSES) - 1)]
        (self._stopped if self._closing.is_set() else self._closing).wait(seconds)

    def drain(self, most: float = MOST_SECONDS) -> None:
        """Wait until every entry is sent, or until nothing is sent any more."""
        began = time.monotonic()
        if self._closing.is_set() and self.outage:  # waited for in vain before
            return
        self._closing.set()
        while self._waiting() and time.monotonic() < began + most:
            quiet = time.monotonic() - max(self._last, began)
            if quiet > (OUTAGE_SECONDS if self.outage else GRACE_SECONDS):
                return
            time.sleep(0.01)

    def _waiting(self) -> int:
        return len(self.outbox) + len(self.left)

    def close(self) -> None:
        """Stop, and report in one line what was not sent."""
        self._stopped.set()
        waiting, fault = len(self.outbox), self.outbox.fault
        self.outbox.close()
        for left in self.left:
            release(left.path)
        if waiting and fault:
            self._warn(f"{plural(waiting, 'record')} lost: {self.outbox.path} cannot be written: {fault}.")
        elif waiting or self.left:
            self._warn(
                f"{self.outage or 'busy'}. {plural(waiting, 'record')} of this run wait in"
                f" {self.outbox.path}; the next start of the same command sends them."
            )
        if self._refused:
            self._warn(f"refused {plural(len(self._refused), 'record')}: {self._refused[0]}")

    def _warn(self, text: str) -> None:
        print(f"tracking store {shown(self.uri)}: {text}", file=sys.stderr, flush=True)
