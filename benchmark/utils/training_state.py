"""Small helpers for every training loop: seeds, autocast, resumable states. Imports torch when used."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any


def one_thread() -> None:
    """One thread a worker: as many trainings as cores beats as many threads, and sums come out the same."""
    import torch

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True, warn_only=True)


def autocast(device: str, precision: str) -> AbstractContextManager[None]:
    """Autocast to bfloat16, or a context that does nothing for float32."""
    import torch

    return torch.autocast(device, torch.bfloat16, enabled=precision == "bfloat16")


def rng_state(device: str) -> dict[str, Any]:
    """The state of torch's global generators."""
    import torch

    state = {"cpu": torch.get_rng_state()}
    if device.startswith("cuda"):
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def set_rng_state(state: Mapping[str, Any], device: str) -> None:
    """Put torch's global generators back."""
    import torch

    torch.set_rng_state(state["cpu"].cpu())
    if device.startswith("cuda") and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"].cpu())


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write a training state atomically."""
    import torch

    part = path.with_suffix(".part")
    with open(part, "wb") as handle:
        torch.save(dict(state), handle)
        handle.flush()
        os.fsync(handle.fileno())
    os.replace(part, path)


def load_state(path: Path, device: str = "cpu") -> dict[str, Any] | None:
    """Read a training state without unpickling code, or None where there is none."""
    import torch

    if not path.exists():
        return None
    state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    return state
