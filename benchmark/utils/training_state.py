"""Threads, precision and resumable states of every training loop. Imports torch when used."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.utils.files import atomic_path

if TYPE_CHECKING:
    import torch


def one_thread() -> None:
    """Use one thread: as many trainings as cores beat as many threads, and sums are reproducible."""
    import torch

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True, warn_only=True)


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
    """Read a training state without unpickling code; None if there is none."""
    import torch

    if not path.exists():
        return None
    state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    return state
