"""Worker processes: their number, their start and their end."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from benchmark.errors import BenchmarkError, StoreError

Item = TypeVar("Item")
Value = TypeVar("Value")

MOST_WORKERS = 8  # unless more are requested
# One training in the papers' sizes: ConvNeXt-S, 224 pixels, batches of 32, and CUDA itself. Not measured.
GPU_BYTES = 6 * 2**30
SAME_START_SECONDS = 2.0  # by which the start of one process varies when the clock is adjusted
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def worker_count(device: str, requested: int | None) -> int:
    """Return the number of workers, at least one.

    The default is one per core on a CPU. On a GPU it is half as many, since each worker also keeps a core
    busy launching kernels, and no more than the free memory allows at ``GPU_BYTES`` each. The default is
    never above ``MOST_WORKERS``.

    Raises:
        BenchmarkError: the GPU does not report its free memory.
    """
    if requested is not None:
        return max(1, requested)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    if device == "cpu":
        return max(1, min(MOST_WORKERS, cores))
    return max(1, min(MOST_WORKERS, cores // 2, free_gpu_bytes() // GPU_BYTES))


def free_gpu_bytes() -> int:
    """Return the free memory of the GPU.

    A separate process asks the driver, since the query itself occupies some of that memory for good.

    Raises:
        BenchmarkError: the driver does not answer.
    """
    code = "import torch; print(torch.cuda.mem_get_info()[0])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    try:
        return int(answer.stdout)
    except ValueError:
        last = (answer.stderr.strip().splitlines() or ["no answer"])[-1]
        raise BenchmarkError(
            "--device cuda", f"does not report its free memory: {last}", "Give --workers."
        ) from None


def die_with_parent() -> None:
    """End this worker and what it started when its parent is gone, so that no orphan continues to write."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        while os.getppid() == parent.pid and parent.is_alive():
            parent.join(0.5)  # ends with the parent, whose end of a pipe the system closes
        kill_children(os.getpid())
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def process_runs(pid: int, began: float | None = None) -> bool:
    """Return whether a process of this machine runs; one that nobody has waited for does not.

    Args:
        began: its start as ``psutil`` gives it, in seconds since the epoch. After a restart of a container
            another process may have its id. None if it is not known.
    """
    import psutil

    try:
        process = psutil.Process(pid)
        same = began is None or abs(process.create_time() - began) < SAME_START_SECONDS
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def kill_children(pid: int) -> None:
    """Kill all descendants of a process."""
    import psutil

    with suppress(psutil.Error):
        for process in psutil.Process(pid).children(recursive=True):
            with suppress(psutil.Error):
                process.kill()


@contextmanager
def out_of_reach_of_a_terminal() -> Iterator[None]:
    """Block the signals of a terminal in processes that start within the block; their parent ends them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGHUP])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold back the signals that end a command until the block is left."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGHUP, signal.SIGTERM])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def message_queue() -> Any:
    """Return a queue by which workers report to this process."""
    with out_of_reach_of_a_terminal():  # Python's resource tracker may start here
        return multiprocessing.get_context("spawn").Queue()


@contextmanager
def without_main_module() -> Iterator[None]:
    """Let processes that start within the block not run the user's script again, guarded or not."""
    main = vars(sys.modules["__main__"])
    hidden: dict[str, Any] = {name: main[name] for name in ("__file__", "__spec__") if name in main}
    main.update(dict.fromkeys(hidden))
    try:
        yield
    finally:
        main.update(hidden)


class _Pool(ProcessPoolExecutor):
    """A pool whose workers start as calls are submitted, out of reach of a terminal."""

    def __init__(self, *arguments: Any) -> None:
        with out_of_reach_of_a_terminal(), without_main_module():
            super().__init__(*arguments)

    def submit(self, *arguments: Any, **keywords: Any) -> Future[Any]:
        """Submit a call."""
        with out_of_reach_of_a_terminal(), without_main_module():
            return super().submit(*arguments, **keywords)


@contextmanager
def process_pool(
    workers: int, initializer: Callable[..., None] = die_with_parent, arguments: tuple[Any, ...] = ()
) -> Iterator[ProcessPoolExecutor]:
    """Yield a pool of spawned workers; an error within the block kills them and what they started.

    Args:
        initializer: of a worker; another one must call ``die_with_parent``.
    """
    pool = _Pool(workers, multiprocessing.get_context("spawn"), initializer, arguments)
    try:
        yield pool
    except BaseException:
        for pid, process in dict(pool._processes or {}).items():
            kill_children(pid)
            process.kill()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def worker_map(workers: int, *, where: str) -> Iterator[Callable[..., Iterator[Any]]]:
    """Yield a function like ``map`` that runs in ``workers`` processes, or in this one if there is one.

    The processes stay alive between calls, so their global variables may hold what several calls need.

    Args:
        where: the command to name in an error.
    Raises:
        StoreError: the system ended a worker.
    """
    if workers == 1:
        yield map
        return
    try:
        with single_threaded_children(), process_pool(workers) as pool:
            yield pool.map
    except BrokenProcessPool:
        problem = "the system ended a worker, most likely for want of memory"
        remedy = "Use fewer --workers; the same command resumes where it stopped."
        raise StoreError(where, problem, remedy) from None


def process_map(
    function: Callable[[Item], Value], items: Iterable[Item], workers: int, *, where: str
) -> Iterator[Value]:
    """Yield ``function(item)`` for each item, in order, by ``worker_map``; the function has a module name."""
    with worker_map(workers, where=where) as each:
        yield from each(function, items)


@contextmanager
def single_threaded_children() -> Iterator[None]:
    """Limit processes that start within the block to one thread: one worker per core beats many threads."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _prctl(option: int, value: int) -> None:
    import ctypes

    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def give_up_privileges() -> None:
    """Let this process and its descendants gain no privileges by a program, and end with its parent."""
    _prctl(38, 1)  # PR_SET_NO_NEW_PRIVS
    _prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def adopt_orphans() -> frozenset[int]:
    """Let this process inherit descendants whose parent ends; return the ids of its descendants today."""
    import psutil

    _prctl(36, 1)  # PR_SET_CHILD_SUBREAPER
    return frozenset(process.pid for process in psutil.Process().children(recursive=True))


def reap_orphans(known: frozenset[int]) -> None:
    """Kill every descendant but the known ones, until none is left; then inherit no more."""
    import psutil

    while new := [p for p in psutil.Process().children(recursive=True) if p.pid not in known]:
        for process in new:
            with suppress(psutil.Error):
                process.kill()
            with suppress(ChildProcessError):
                os.waitpid(process.pid, 0)
    _prctl(36, 0)  # PR_SET_CHILD_SUBREAPER: a shell that ends later is no reason to end
