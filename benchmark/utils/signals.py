"""End of this process: by a signal, by a second Ctrl-C, or with the ``mlflow run`` that started it."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
AGAIN_SECONDS = 0.5  # the same signal, this much later, comes from somebody who does not want to wait
WATCH_SECONDS = 0.5
CLOSE_SECONDS = 30.0  # to close what is open once ``mlflow run`` is gone


class Interrupted(KeyboardInterrupt):
    """This process received a signal that ends it.

    Attributes:
        status: exit status by the convention of shells, 128 plus the signal's number.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.status = 128 + number


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Raise ``Interrupted`` in the main thread at the first signal of ``ENDING``.

    The same signal again ends the process and its workers at once. An ignored signal stays ignored, as under
    ``nohup``. Within ``mlflow run`` its end counts as a SIGTERM, so that no orphan computes beside a restart.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: dict[int, float] = {}

    def receive(number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if not received:
            received[number] = now
            raise Interrupted(number)
        # under `mlflow run`, Ctrl-C is followed by a SIGTERM from MLflow at once
        if now - received.setdefault(number, now) > AGAIN_SECONDS:
            _end_at_once(128 + number)

    handled = [n for n in ENDING if signal.getsignal(n) in (signal.SIG_DFL, signal.default_int_handler)]
    before = {number: signal.signal(number, receive) for number in handled}
    closed = threading.Event()
    if launchers := _launchers():
        threading.Thread(target=_end_with, args=(launchers, closed), daemon=True).start()
    try:
        yield
    finally:
        closed.set()
        for number, handler in before.items():
            signal.signal(number, handler)


def _launchers() -> list[tuple[int, float]]:
    """Return id and start of ``mlflow run`` and of the shells between it and this process.

    Empty for any other start. MLFLOW_RUN_ID may also come from a user's shell, which may end before its
    background jobs; MLflow runs in Python, and a shell does not.
    """
    if not os.environ.get("MLFLOW_RUN_ID"):
        return []
    import psutil

    chain = []
    with suppress(psutil.Error):
        for ancestor in psutil.Process().parents():
            chain.append((ancestor.pid, ancestor.create_time()))
            if "python" in os.path.basename(ancestor.exe()).lower():
                return chain
    return []


def _end_with(launchers: list[tuple[int, float]], closed: threading.Event) -> None:
    """Send this process a SIGTERM when one of its launchers ends; end it if it does not close by then."""
    from benchmark.utils.processes import process_runs

    while not closed.wait(WATCH_SECONDS):
        if not all(process_runs(*launcher) for launcher in launchers):
            os.kill(os.getpid(), signal.SIGTERM)
            if not closed.wait(CLOSE_SECONDS):
                _end_at_once(128 + signal.SIGTERM)
            return


def _end_at_once(status: int) -> None:
    from benchmark.utils.processes import kill_children

    kill_children(os.getpid())
    os._exit(status)


class Preempted(BaseException):
    """The machine is to be left: the state is saved, and another worker continues."""


_end_asked = threading.Event()


def ask_to_end() -> None:
    """Ask the training of this process to save its state and to end."""
    _end_asked.set()


def end_if_asked(save: Callable[[], None] = lambda: None) -> None:
    """Save a state and raise ``Preempted`` if the machine is to be left.

    Args:
        save: writes what another worker needs to continue at this point.
    """
    if _end_asked.is_set():
        save()
        raise Preempted
