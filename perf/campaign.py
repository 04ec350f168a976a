"""Disturb runs at random and report what survived: kills, runs beside each other, full disks, a lost server.

    python perf/campaign.py [--rounds 20] [--seed 0] [--only kills,together,disks,server] [--keep FOLDER]

Every round starts with empty folders, is disturbed, and then goes on undisturbed to its end. The pages and
predictions are compared with those of an undisturbed run, the tracking store with its stages. Full disks need
the right to mount a tmpfs; without it they are reported as not tried.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmark.utils.hashing import sha256_file, sha256_of

ROOT = Path(__file__).resolve().parent.parent
TASK = ROOT / "tests/tasks/tiny_binary.yaml"
MARK = "SYNTHTHORAX_CAMPAIGN"  # in the environment of every process that a round starts
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
SETTLE_SECONDS = 20  # after which a process that still runs is an orphan
LIMIT_SECONDS = 600  # of one undisturbed run
PORT = 5997


@dataclass(frozen=True)
class Place:
    """The folders of one round, and the tracking store that they share."""

    folder: Path
    tracking: str = ""
    outs: tuple[str, ...] = ("out",)

    def environ(self) -> dict[str, str]:
        """Return the environment of the processes of this round."""
        own = {
            "SYNTHTHORAX_STORE": str(self.folder / "store"),
            "MLFLOW_TRACKING_URI": self.tracking or f"sqlite:///{self.folder / 'tracking' / 'mlflow.db'}",
            MARK: str(self.folder),
            "PYTHONPATH": str(ROOT),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        dropped = ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME")
        return {k: v for k, v in os.environ.items() if k not in dropped} | own

    def start(self, by: str, out: str) -> subprocess.Popen[str]:
        """Start a run by ``mlflow run`` or by ``python -m benchmark``."""
        where = self.folder / out
        if by == "mlflow":
            command = ["mlflow", "run", str(ROOT), "-e", "run", "--env-manager", "local"]
            command += [
                f"-P{name}={value}" for name, value in (("task", TASK), ("out", where), ("workers", 2))
            ]
        else:
            command = [sys.executable, "-m", "benchmark", "run", "--task", str(TASK)]
            command += ["--out", str(where), "--workers", "2"]
        (self.folder / "tracking").mkdir(exist_ok=True)
        log = open(self.folder / f"{out}.log", "a", encoding="utf-8")  # noqa: SIM115  the child's
        return subprocess.Popen(
            command, env=self.environ(), cwd=self.folder / "tracking", stdout=log, stderr=log, text=True,
            start_new_session=True,
        )  # fmt: skip

    def living(self) -> list[psutil.Process]:
        """Return the processes of this round that still run."""
        alive = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get(MARK) == str(self.folder) and process.status() != "zombie":
                    alive.append(process)
        return alive

    def files(self, out: str) -> dict[str, str]:
        """Return the SHA-256 of predictions, samples and the leaderboard without its costs, by name."""
        root = self.folder / out
        paths = [*root.glob("bundles/*/predictions.parquet"), *root.glob("bundles/*/samples/images.parquet")]
        hashes = {str(path.relative_to(root)): sha256_file(path) for path in sorted(paths)}
        if (page := root / "leaderboard.json").exists():
            hashes[page.name] = sha256_of(json.loads(page.read_text(encoding="utf-8")) | {"costs": None})
        return hashes


@dataclass
class Counts:
    """Faults of the rounds of one disturbance."""

    rounds: int = 0
    late: int = 0  # signals that came after the end
    unequal: int = 0  # runs whose bytes are not those of the undisturbed run
    unfinished: int = 0  # runs that did not reach their end when started again
    orphans: int = 0
    duplicates: int = 0  # stages that one parent run logged twice
    missing: int = 0  # stages that no finished run of the tracking store shows
    running: int = 0  # runs left RUNNING
    wordy: int = 0  # ends of disturbed runs with a traceback, or with more than ten lines of errors
    notes: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """True if nothing went wrong."""
        faults = [self.unequal, self.unfinished, self.orphans, self.duplicates, self.missing]
        return not any([*faults, self.running, self.wordy])

    def row(self, name: str) -> str:
        """Return a row of the printed table."""
        values = [
            self.rounds,
            self.late,
            self.unequal,
            self.unfinished,
            self.orphans,
            self.duplicates,
            self.missing,
        ]
        return "| " + " | ".join(map(str, [name, *values, self.running, self.wordy])) + " |"


FAULTS = ("unequal", "unfinished", "orphans", "logged twice", "not logged", "left RUNNING", "wordy")


class Campaign:
    """Rounds of every disturbance, compared with one undisturbed run."""

    def __init__(self, folder: Path, rounds: int, seed: int) -> None:
        self.folder, self.rounds, self.random = folder, rounds, random.Random(seed)
        place = self.place("reference")
        began = time.monotonic()
        if place.start("benchmark", "out").wait():
            sys.exit(f"the undisturbed run failed:\n{(place.folder / 'out.log').read_text()}")
        self.seconds = time.monotonic() - began
        self.files, self.keys = place.files("out"), set(tracked(place)[0])
        print(
            f"undisturbed: {self.seconds:.0f} s, {len(self.files)} files, {len(self.keys)} stages", flush=True
        )

    def place(self, name: str, **about: object) -> Place:
        folder = self.folder / name
        folder.mkdir(parents=True)
        return Place(folder, **about)  # type: ignore[arg-type]

    def kills(self, by: str) -> Counts:
        """End a run by a signal at a random moment, once per round."""
        counts = Counts()
        for number in range(self.rounds):
            place, sent = self.place(f"kill-{by}-{number}"), SIGNALS[number % len(SIGNALS)]
            process = place.start(by, "out")
            time.sleep(self.random.uniform(0.5, 0.9 * self.seconds))
            counts.late += process.poll() is not None
            process.send_signal(sent)
            self.settle(place, [process], counts)
            self.end(place, counts, by)
        return counts

    def together(self) -> Counts:
        """Start four runs at once on one store and one fresh tracking store, and end half of them."""
        counts = Counts()
        for number in range(max(1, self.rounds // 4)):
            place = self.place(f"together-{number}", outs=("a", "b", "c", "d"))
            by = ("mlflow", "benchmark")[number % 2]
            processes = [place.start(by, out) for out in place.outs]
            time.sleep(self.random.uniform(1, 3 * self.seconds))
            for process in self.random.sample(processes, 2):
                process.send_signal(self.random.choice(SIGNALS))
            for process in processes:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(LIMIT_SECONDS)
            self.settle(place, processes, counts)
            self.end(place, counts, by)
        return counts

    def disks(self) -> Counts:
        """Fill the disk of the store, of the output folder or of the tracking store."""
        counts = Counts()
        for number in range(max(3, self.rounds // 4)):
            part = ("store", "out", "tracking")[number % 3]
            place = self.place(f"disk-{part}-{number}")
            small = {"store": self.random.randint(200, 4000), "out": 200, "tracking": 1500}[part]
            try:
                with tmpfs(place.folder / part, small):
                    process = place.start("benchmark", "out")
                    process.wait(LIMIT_SECONDS)
                    self.settle(place, [process], counts)
                    subprocess.run(["mount", "-o", "remount,size=1g", str(place.folder / part)], check=True)
                    self.end(place, counts, "benchmark")
            except subprocess.CalledProcessError as error:
                counts.notes.append(f"not tried: {error}")
                return counts
        return counts

    def server(self) -> Counts:
        """Stop the tracking server at a random moment, and start it again after the run."""
        counts = Counts()
        for number in range(max(1, self.rounds // 10)):
            place = self.place(f"server-{number}", tracking=f"http://127.0.0.1:{PORT}")
            with server(place.folder) as process:
                run = place.start("benchmark", "out")
                time.sleep(self.random.uniform(8, self.seconds))
                os.killpg(process.pid, signal.SIGSTOP if number % 2 else signal.SIGKILL)
                began = time.monotonic()
                code = run.wait(LIMIT_SECONDS)
                counts.notes.append(
                    f"round {number}: exit {code}, {time.monotonic() - began:.0f} s after the server "
                    f"{'hung' if number % 2 else 'was gone'}; undisturbed whole run {self.seconds:.0f} s"
                )
            with server(place.folder):
                self.settle(place, [run], counts)
                self.end(place, counts, "benchmark")
        return counts

    def settle(self, place: Place, ended: list[subprocess.Popen[str]], counts: Counts) -> None:
        """Wait until no process of a round is left; those that stay are orphans."""
        own, until = {process.pid for process in ended}, time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < until and (place.living() or any(p.poll() is None for p in ended)):
            time.sleep(0.2)
        for process in place.living():
            counts.orphans += 1
            counts.notes.append(
                f"{place.folder.name}: {'still runs' if process.pid in own else 'orphan'} "
                f"{' '.join(process.cmdline())[:120]}"
            )
            process.kill()
        for out in place.outs:
            text = (place.folder / f"{out}.log").read_text(encoding="utf-8")
            errors = [line for line in text.splitlines() if line.startswith(("error", "failed"))]
            if "Traceback" in text or len(errors) > 10:
                counts.wordy += 1
                counts.notes.append(f"{place.folder.name}: {text.strip().splitlines()[-1][:200]}")

    def end(self, place: Place, counts: Counts, by: str) -> None:
        """Run every output folder of a round to its end, and count the faults."""
        counts.rounds += 1
        for out in place.outs:
            code = place.start(by, out).wait(LIMIT_SECONDS)
            if code:
                counts.unfinished += 1
                last = (place.folder / f"{out}.log").read_text(encoding="utf-8").strip().splitlines()[-1]
                counts.notes.append(f"{place.folder.name}/{out}: exit {code}: {last[:200]}")
            counts.unequal += place.files(out) != self.files
        finished, twice, running = tracked(place)
        missing = len(self.keys - set(finished))
        if missing or twice or running:
            counts.notes.append(f"{place.folder.name}: {missing} missing, {twice} twice, {running} RUNNING")
        counts.missing, counts.duplicates = counts.missing + missing, counts.duplicates + twice
        counts.running += running


def tracked(place: Place) -> tuple[Counter[str], int, int]:
    """Count finished runs by cache key, the stages that one parent has twice, and runs left RUNNING."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(place.environ()["MLFLOW_TRACKING_URI"])
    runs = client.search_runs([e.experiment_id for e in client.search_experiments()], max_results=5000)
    stages = [r for r in runs if r.data.tags.get("key") and r.info.status == "FINISHED"]
    by_parent = Counter((r.data.tags["mlflow.parentRunId"], r.data.tags["key"]) for r in stages)
    running = sum(r.info.status == "RUNNING" for r in runs)
    return Counter(r.data.tags["key"] for r in stages), sum(n - 1 for n in by_parent.values()), running


@contextmanager
def tmpfs(folder: Path, kilobytes: int) -> Iterator[None]:
    """Mount a small file system on a folder."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def listening() -> bool:
    """Return whether a tracking server listens."""
    return any(c.laddr.port == PORT and c.status == "LISTEN" for c in psutil.net_connections("tcp"))


@contextmanager
def server(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Serve a tracking store; end the server and its workers afterwards."""
    command = [
        "mlflow",
        "server",
        "--port",
        str(PORT),
        "--backend-store-uri",
        f"sqlite:///{folder / 'server.db'}",
    ]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    with open(folder / "server.log", "a") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, cwd=folder)
    try:
        while not listening():
            time.sleep(0.25)
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        while listening():
            time.sleep(0.1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="kills,together,disks,server")
    parser.add_argument("--keep", type=Path, help="leave the folders of the rounds here")
    options = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGHUP):  # a background job ignores them, and so would its runs
        signal.signal(number, signal.SIG_DFL)
    folder = options.keep or Path(tempfile.mkdtemp(prefix="campaign-"))
    campaign, clean = Campaign(folder, options.rounds, options.seed), True
    disturbances = {
        "kills": {
            "`mlflow run` ended by a signal": lambda: campaign.kills("mlflow"),
            "`python -m benchmark` ended by a signal": lambda: campaign.kills("benchmark"),
        },
        "together": {"four at once, two of them ended": campaign.together},
        "disks": {"full disk of store, output or tracking": campaign.disks},
        "server": {"tracking server gone or hung": campaign.server},
    }
    print("| " + " | ".join(["disturbance", "rounds", "late", *FAULTS]) + " |", "| --- " * 10 + "|", sep="\n")
    for name in options.only.split(","):
        for title, disturb in disturbances[name].items():
            counts = disturb()
            print(counts.row(title), *counts.notes, sep="\n", flush=True)
            clean &= counts.clean
    if options.keep is None:
        shutil.rmtree(folder, ignore_errors=True)
    return int(not clean)


if __name__ == "__main__":
    sys.exit(main())
