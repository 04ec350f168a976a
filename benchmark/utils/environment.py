"""Software, hardware, device and precision with which this process computes a result."""

import os
import platform
import subprocess
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from benchmark import __version__

# Packages that a result may depend on; those that are not installed are left out. The list is fixed, since
# which of them a worker has loaded depends on the nodes that it computed before.
PACKAGES = (
    "torch", "torchvision", "timm", "diffusers", "transformers", "peft", "accelerate", "torch-fidelity",
    "monai", "numpy", "scipy", "scikit-learn", "statsmodels", "scikit-posthocs", "pyarrow", "pandas",
    "pillow", "datasets",
)  # fmt: skip


class Environment(BaseModel, frozen=True):
    """Software, hardware, device and precision of one result, as its worker found them.

    Attributes:
        software: versions by package, with ``python`` and ``synththorax``.
        hardware: processor, cores, memory and system; of a result on a GPU also its name, memory and driver.
        device: ``cuda`` where the computation allocated memory of the GPU, else ``cpu``.
        precision: of the networks; None for a stage that has no such choice.
        isolation: of the code from outside that the stage ran; None where it ran none.
    """

    software: dict[str, str]
    hardware: dict[str, str | int]
    device: str
    precision: str | None = None
    isolation: Literal["bubblewrap", "namespaces", "process"] | None = None


@cache
def software() -> dict[str, str]:
    """Return the versions of the packages that a result depends on, as they were when first asked for."""
    versions = {"python": platform.python_version(), "synththorax": __version__}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


@cache
def hardware(device: str) -> dict[str, str | int]:
    """Describe the machine."""
    import psutil

    machine: dict[str, str | int] = {
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "memory": _gib(psutil.virtual_memory().total),
        "system": platform.system(),
    }
    return machine | _gpu() if device == "cuda" else machine


def gpu_allocations() -> int:
    """Return how often this process has allocated memory of the GPU."""
    if "torch" not in sys.modules:
        return 0
    import torch

    return (
        int(torch.cuda.memory_stats().get("allocation.all.allocated", 0))
        if torch.cuda.is_initialized()
        else 0
    )


def _gpu() -> dict[str, str | int]:
    import torch
    from torch.utils import collect_env

    about = torch.cuda.get_device_properties(torch.cuda.current_device())
    driver = collect_env.get_nvidia_driver_version(collect_env.run)
    known = {
        "gpu": about.name,
        "gpu_memory": _gib(about.total_memory),
        "driver": driver,
        "cuda": torch.version.cuda,
    }
    return {name: str(value) for name, value in known.items() if value}


def _gib(size: int) -> str:
    return f"{size / 2**30:.0f} GiB"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def commit() -> str | None:
    """Return the commit of the suite's checkout, with "+" after changes; None without one."""

    def git(*words: str) -> str | None:
        command = ["git", "-C", str(Path(__file__).parent), *words]
        try:
            result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return None if result.returncode else result.stdout.strip()

    head = git("rev-parse", "HEAD")
    changed = git("status", "--porcelain", "--untracked-files=no", "--", str(Path(__file__).parent.parent))
    return f"{head}+" if head and changed else head
