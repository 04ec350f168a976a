"""Check of this machine: one line per part, with the remedy for whatever is missing."""

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Literal

from benchmark import __version__
from benchmark.cli.requests import DoctorRequest
from benchmark.engine.sandbox.level import EXPOSED, INSTALL, chosen_level
from benchmark.engine.store import store_root
from benchmark.errors import BenchmarkError
from benchmark.experiments.tracking_store import prepare, shown, sqlite_file, tracking_uri
from benchmark.utils.commands import SCRIPT
from benchmark.utils.environment import hardware
from benchmark.utils.processes import free_gpu_bytes, worker_count

FREE_BYTES = 5 * 2**30  # of the store of one board in the size of the demo, with room to spare
MEMORY_BYTES = 2 * 2**30  # of one worker
Outcome = Literal["ok", "note", "missing"]


@dataclass(frozen=True)
class Check:
    """One part of this machine: ``missing`` stops runs, a ``note`` restricts some."""

    part: str
    outcome: Outcome
    text: str
    remedy: str = ""


def doctor(request: DoctorRequest) -> int:
    """Print every check; return 1 if something is missing."""
    done = []
    for part, check in CHECKS.items():
        try:
            results = list(check())
        except BenchmarkError as error:
            results = [Check(part, "missing", f"{error.where}: {error.problem}", error.remedy)]
        done += results
        if not request.json:
            for one in results:
                remedy = f"  -> {one.remedy}" if one.remedy else ""
                print(f"{one.outcome:<8}{one.part:<12}{one.text}{remedy}", flush=True)
    if request.json:
        print(json.dumps([asdict(check) for check in done], indent=1))
    return 1 if any(check.outcome == "missing" for check in done) else 0


def _environment() -> Iterator[Check]:
    lacking = []
    for text in requires("synththorax") or [] if _installed() else []:
        name = text.split(";")[0].split(">")[0].split("<")[0].split("=")[0].split("[")[0].strip()
        if "extra ==" not in text and not _is_there(name):
            lacking.append(name)
    about = f"Python {sys.version.split()[0]}, synththorax {__version__}"
    if lacking:
        yield Check(
            "environment", "missing", f"{about}; no {', '.join(lacking)}", "pip install -e . in the checkout"
        )
    elif not _installed():
        yield Check("environment", "note", f"{about}, not installed", f"pip install -e . gives {SCRIPT}")
    else:
        yield Check("environment", "ok", f"{about}, all requirements are installed")


def _installed() -> bool:
    return _is_there("synththorax")


def _is_there(package: str) -> bool:
    try:
        return bool(version(package))
    except PackageNotFoundError:
        return False


def _device() -> Iterator[Check]:
    import torch

    if torch.cuda.is_available():
        name = torch.cuda.get_device_name()
        text = f"{name}, {free_gpu_bytes() / 2**30:.0f} GiB free, torch {torch.__version__}"
        yield Check("device", "ok", f"cuda: {text}")
    else:
        remedy = "profiles demo and lite run on a CPU; paper is meant for GPUs"
        yield Check("device", "note", f"cpu: torch {torch.__version__} finds no CUDA device", remedy)


def _memory() -> Iterator[Check]:
    import psutil

    free, workers = psutil.virtual_memory().available, worker_count("cpu", None)
    machine = hardware("cpu")
    text = f"{machine['processor']}, {machine['cores']} cores, {free / 2**30:.1f} GiB of memory free"
    if free < workers * MEMORY_BYTES:
        fitting = max(1, free // MEMORY_BYTES)
        yield Check("machine", "note", text, f"{workers} workers may not fit: --workers {fitting}")
    else:
        yield Check("machine", "ok", f"{text}, {workers} workers by default")


def _disk() -> Iterator[Check]:
    root = store_root().absolute()
    there = next(path for path in (root, *root.parents) if path.exists())
    free = shutil.disk_usage(there).free
    text = f"store {root}: {free / 2**30:.0f} GiB free"
    elsewhere = "set SYNTHTHORAX_STORE to a folder elsewhere"
    if not os.access(there, os.W_OK):
        yield Check("disk", "missing", f"store {root} cannot be written", elsewhere)
    elif free < FREE_BYTES:
        yield Check("disk", "note", text, f"free some space, or {elsewhere}")
    else:
        yield Check("disk", "ok", text)


def _tracking() -> Iterator[Check]:
    uri = tracking_uri()
    file = sqlite_file(uri)
    if file is not None and not file.exists():
        yield Check("tracking", "ok", f"{shown(uri)} will be created")
        return
    prepare(uri)
    state = "can be written" if file is not None else "is a server, which a run will ask"
    yield Check("tracking", "ok", f"{shown(uri)} {state}")


def _weights() -> Iterator[Check]:
    from benchmark.metrics.extractor.features import INCEPTION, INCEPTION_FILE, inception_path

    path = inception_path()
    if path.is_file():
        yield Check("weights", "ok", f"extractor {INCEPTION}: {path}")
    else:
        remedy = f"FID as papers report it needs {INCEPTION_FILE} of torch-fidelity there"
        yield Check("weights", "note", f"extractor {INCEPTION} is not at {path}", remedy)
    hub = Path(os.environ.get("HF_HUB_CACHE") or "~/.cache/huggingface/hub").expanduser()
    models = sorted(p.name.removeprefix("models--") for p in hub.glob("models--timm--*"))
    remedy = "profile paper downloads ImageNet weights at its first run, or takes --weights FOLDER"
    text = f"ImageNet weights: {len(models)} models of timm in {hub}"
    yield Check("weights", "ok" if models else "note", text, "" if models else remedy)


def _sandbox() -> Iterator[Check]:
    level = chosen_level()
    if level in EXPOSED:
        yield Check("sandbox", "note", "generators from files are NOT isolated here", INSTALL)
    else:
        yield Check("sandbox", "ok", f"generators from files run isolated ({level})")


CHECKS: dict[str, Callable[[], Iterator[Check]]] = {
    "environment": _environment,
    "machine": _memory,
    "disk": _disk,
    "tracking": _tracking,
    "weights": _weights,
    "sandbox": _sandbox,
    "device": _device,
}
