"""A run of a generator that attacks, and the traces that a successful attack would leave."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

import benchmark
from benchmark.errors import BenchmarkError, StoreError
from benchmark.images import arrow
from benchmark.stages import predictions
from support.attack_files import ATTACKS, BODY, EXCESSES, HEAD, REFUSED
from support.generator_jobs import Jobs, small_splits
from support.samples import ROOT

SECRET, CANARY = "token-of-the-host-4711", "canary-of-the-host-4711"


@dataclass(frozen=True)
class Outcome:
    """One attack.

    Attributes:
        gains: what it obtained, in words; empty if it obtained nothing.
        error: of the run; empty without one.
        seconds: of the run.
    """

    gains: tuple[str, ...]
    error: str
    seconds: float


def as_expected(name: str, outcome: Outcome) -> bool:
    """Return whether an attack gained nothing, and ended as it must: it really ran, or was refused."""
    if name in ATTACKS:
        ended = outcome.error == "" if name not in REFUSED else REFUSED[name] in outcome.error
    else:
        ended = any(part in outcome.error for part in EXCESSES[name][1])
    return ended and not outcome.gains


class Scene:
    """A store with results of other rows, secrets and a listener, around a generator's fit and drawing."""

    def __init__(self, root: Path, patch: pytest.MonkeyPatch) -> None:
        self.root, self.store = root, root / ".store"
        self.splits = small_splits()
        data = self.store / "results" / "data" / "key"
        data.mkdir(parents=True)
        arrow.write_splits(data, self.splits)
        self.sibling = self.store / "results" / "sample" / "other" / "synthetic.arrow"
        self.sibling.parent.mkdir(parents=True)
        arrow.write_images(self.sibling, self.splits.reserve)
        (self.store / CANARY).write_text(SECRET)
        patch.setenv("SYNTHTHORAX_STORE", str(self.store))
        patch.setenv("HOST_SECRET", SECRET)
        patch.chdir(root)
        self.patch, self.marker = patch, root / "marker"
        self.suite = _suite_file()

    def run(self, text: str, **known: Any) -> Outcome:
        """Fit and draw with a generator whose file has this text."""
        with _listener(self.root / "socket") as listening, _victim() as victim:
            scene = {
                "stores": [str(self.store)], "secret": SECRET, "canary": CANARY, "marker": str(self.marker),
                "siblings": [str(self.sibling), str(self.store / CANARY)], "port": listening.port,
                "socket": str(self.root / "socket"), "writable": [str(self.sibling), str(self.root / "new")],
                "traversal": "../../../../.." + str(self.marker), "pid": psutil.Process().pid,
                "victim": victim.pid, "forks": False, "shm": False, **known,
            }  # fmt: skip
            began = time.monotonic()
            images, error = self._drawn(HEAD.replace("{SCENE}", json.dumps(scene)) + text)
            seconds = time.monotonic() - began
            time.sleep(0.5)  # for what survives
            gains = [*self._gains(images), *(["the network"] if listening.reached() else [])]
            gains += ["killed another process"] if victim.poll() is not None else []
        return Outcome(tuple(gains), error, seconds)

    def _drawn(self, text: str) -> tuple[np.ndarray | None, str]:
        folder = self.root / f"run-{len(list(self.root.glob('run-*')))}"
        folder.mkdir()
        jobs = Jobs(folder, self.splits, text=text, origin="file")
        try:
            fitted, _ = jobs.fit("fit")
            return np.asarray(jobs.draw("draw", "a", [fitted], 6).image), ""
        except StoreError:
            raise
        except BenchmarkError as error:
            return None, str(error)

    def _gains(self, images: np.ndarray | None) -> Iterator[str]:
        test = np.asarray(self.splits.test.image).astype(int)
        for image in () if images is None else images.astype(int):
            if image[0, 0] == 255:
                yield "what attack() was after"
                break
            if np.abs(test[:, 1:] - image[None, 1:]).mean((1, 2)).min() < 3:
                yield "test images"
                break
        if any(SECRET in path.read_text() for path in self.root.glob("run-*/fit/**/*.json")):
            yield "a file of the host in the saved folder"
        if hasattr(predictions, "_patched"):
            yield "the evaluator"
        if self.marker.exists():
            yield "a file outside"
        if any(CANARY in " ".join(p.info["cmdline"] or ()) for p in psutil.process_iter(["cmdline"])):
            yield "a process that survives"
        if _suite_file() != self.suite:
            yield "the suite's code"


def attack(scene: Scene, name: str) -> Outcome:
    """Run one of ``ATTACKS`` or ``EXCESSES``; those run with low limits."""
    if name in ATTACKS:
        return scene.run(ATTACKS[name])
    if name != "endless processes":  # whose memory would count first
        scene.patch.setenv("SYNTHTHORAX_SANDBOX_MEMORY", "1.5")
    if name in ("endless time", "endless printing"):
        scene.patch.setenv("SYNTHTHORAX_SANDBOX_HOURS", str(40 / 3600))
    return scene.run(EXCESSES[name][0], forks="nine" in name)


def honest(scene: Scene) -> Outcome:
    """Run the same generator without an attack."""
    return scene.run(BODY)


def _suite_file() -> bytes:
    """Return the file of the suite that an attack writes over first."""
    return Path(benchmark.__file__).read_bytes()


class _Listening:
    def __init__(self, sockets: list[socket.socket]) -> None:
        self.sockets, self.port = sockets, sockets[0].getsockname()[1]

    def reached(self) -> bool:
        """Return whether anybody has connected."""
        for own in self.sockets:
            own.settimeout(0.1)
            try:
                own.accept()
            except TimeoutError:
                continue
            return True
        return False


@contextmanager
def _listener(path: Path) -> Iterator[_Listening]:
    path.unlink(missing_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(path))
        unix.listen()
        yield _Listening([tcp, unix])


@contextmanager
def _victim() -> Iterator[subprocess.Popen[bytes]]:
    """Yield a process of this user that an attack may try to end."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], cwd=ROOT)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
