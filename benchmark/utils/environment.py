"""Versions of the software and a description of the hardware that a result depends on."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = (
    "synththorax", "torch", "torchvision", "timm", "diffusers", "torch-fidelity", "monai", "numpy", "scipy",
    "scikit-learn", "statsmodels", "scikit-posthocs", "pyarrow", "pandas",
)  # fmt: skip


def software() -> dict[str, str]:
    """Return the versions of the packages that a result depends on."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed as a package"
    return versions


def hardware(device: str) -> dict[str, Any]:
    """Describe the machine."""
    machine: dict[str, Any] = {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": platform.system(),
    }
    if device == "cuda":
        import torch

        machine["gpu"] = torch.cuda.get_device_name(0)
    return machine


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
