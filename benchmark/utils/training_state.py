"""Threads, precision and resumable states of every training loop. Imports torch when used."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from benchmark.utils.files import atomic_path


def one_thread() -> None:
    """Use one thread: as many trainings as cores beat as many threads, and sums are reproducible."""
    import torch

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True, warn_only=True)


def autocast(device: str, precision: str) -> AbstractContextManager[None]:
    """Return a context that autocasts to bfloat16, or does nothing for float32."""
    import torch

    return torch.autocast(device, torch.bfloat16, enabled=precision == "bfloat16")


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
