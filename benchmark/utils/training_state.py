"""Threads, precision and resumable states of every training loop. Imports torch when used."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.utils.files import atomic_path

if TYPE_CHECKING:
    import torch


# Of every network, and part of every protocol's hash. ``auto`` is ``resolve_device``'s rule.
PRECISION = {
    "auto": "bfloat16 where the device computes in it, else float32",
    "weights": "float32",
    "tf32": False,
    "deterministic": True,
}


def one_thread() -> None:
    """Use one thread: as many trainings as cores beat as many threads, and sums are reproducible."""
    import torch

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(bool(PRECISION["deterministic"]), warn_only=True)
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = bool(PRECISION["tf32"])


@contextmanager
def as_in_a_worker() -> Iterator[None]:
    """Compute within a block with the threads and algorithms of a worker, so that the bytes are a run's."""
    import torch

    threads, exact = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    warn, tf32 = torch.is_deterministic_algorithms_warn_only_enabled(), torch.backends.cuda.matmul.allow_tf32
    cudnn = torch.backends.cudnn.allow_tf32
    one_thread()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(exact, warn_only=warn)
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = tf32, cudnn


def dtype_of(precision: str) -> torch.dtype:
    """Return the torch type of a precision."""
    import torch

    kind: torch.dtype = getattr(torch, precision)
    return kind


def autocast(device: str, precision: str) -> AbstractContextManager[None]:
    """Return a context that autocasts to a precision, or does nothing for float32."""
    import torch

    kind = torch.device(device).type
    return torch.autocast(kind, dtype_of(precision), enabled=precision != "float32")


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write a training state atomically."""
    import torch

    with atomic_path(path) as part:
        torch.save(dict(state), part)


def load_state(path: Path, device: str = "cpu") -> dict[str, Any] | None:
    """Read a training state without unpickling code; None if there is none, or if it is damaged.

    A damaged state is removed, with a note, so that the training begins again.
    """
    import torch

    if not path.exists():
        return None
    try:
        with zipfile.ZipFile(path) as archive:  # torch does not compare the checksums
            if name := archive.testzip():
                raise ValueError(f"{name} does not match its checksum")
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # zipfile, zlib, pickle and torch each raise their own
        discarded(path, error)
        return None
    return state


def discarded(path: Path, error: object) -> None:
    """Remove a damaged state, and note why."""
    path.unlink(missing_ok=True)
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    print(f"note: {path}: damaged, so computed again: {reason}", file=sys.stderr, flush=True)
