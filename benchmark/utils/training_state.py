"""Helpers of every training loop: threads, autocast, random states, checkpoints. Imports torch when used."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from benchmark.utils.files import atomic_path


def one_thread() -> None:
    """Limit this worker to one thread: one training per core is faster, and sums are reproducible."""
    import torch

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True, warn_only=True)


def autocast(device: str, precision: str) -> AbstractContextManager[None]:
    """Return an autocast to bfloat16, or a context without effect for float32."""
    import torch

    return torch.autocast(device, torch.bfloat16, enabled=precision == "bfloat16")


def rng_state(device: str) -> dict[str, Any]:
    """Return the state of torch's random number generators."""
    import torch

    state = {"cpu": torch.get_rng_state()}
    if device.startswith("cuda"):
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def set_rng_state(state: Mapping[str, Any], device: str) -> None:
    """Restore torch's random number generators."""
    import torch

    torch.set_rng_state(state["cpu"].cpu())
    if device.startswith("cuda") and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"].cpu())


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write a training state atomically."""
    import torch

    with atomic_path(path) as part, open(part, "wb") as handle:
        torch.save(dict(state), handle)


def load_state(path: Path, device: str = "cpu") -> dict[str, Any] | None:
    """Read a training state without unpickling code, or return None if there is none."""
    import torch

    if not path.exists():
        return None
    state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    return state
