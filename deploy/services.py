"""Start PostgreSQL, an S3 server and MLflow on this machine, for tests or to try them out.

    python deploy/services.py [--folder FOLDER]

PostgreSQL comes from the system's packages (``apt-get install postgresql``), the S3 server is moto's:
``pip install 'synththorax[s3,team]' 'moto[server]'``. Ctrl-C ends all of them.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

BUCKET = "synththorax"
KEYS = {
    "AWS_ACCESS_KEY_ID": "synththorax",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_DEFAULT_REGION": "us-east-1",
}
START_SECONDS = 120


def free_port() -> int:
    """Return a port that no process listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    """Return whether a process answers on a port of this machine."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def wait_until(condition: Callable[[], bool], what: str, seconds: float = START_SECONDS) -> None:
    """Wait for a condition."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            sys.exit(f"{what} did not start within {seconds:.0f} s")
        time.sleep(0.2)


@dataclass
class Service:
    """A server in a process group of its own."""

    name: str
    command: list[str]
    folder: Path
    port: int
    environ: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        log = open(self.folder / f"{self.name}.log", "ab")  # noqa: SIM115  the child's
        self.process = subprocess.Popen(
            self.command, cwd=self.folder, env=os.environ | self.environ, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
        try:
            wait_until(lambda: listens(self.port), self.name)
        except SystemExit:
            self.stop(signal.SIGKILL)
            raise

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it with a signal, and wait for its end."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
            self.process.wait()
            self.process = None
        wait_until(lambda: not listens(self.port), f"the end of {self.name}")


def _as_postgres() -> list[str]:
    """Return the beginning of a command that does not run as root, which PostgreSQL refuses."""
    return ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []


def postgres(folder: Path, *_: Service) -> Service:
    """Make a PostgreSQL cluster with the databases ``mlflow`` and ``optuna``."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    initdb = str(found[-1]) if found else shutil.which("initdb")
    if initdb is None:
        sys.exit("PostgreSQL is not installed: apt-get install postgresql")
    binary, data, port = Path(initdb).parent, folder / "postgres", free_port()
    data.mkdir()
    if os.geteuid() == 0:
        folder.chmod(0o755)
        shutil.chown(data, "postgres")
    subprocess.run([*_as_postgres(), initdb, "-D", str(data), "-A", "trust", "-U", "synththorax"], check=True,
                   stdout=subprocess.DEVNULL, cwd="/")  # fmt: skip
    command = [*_as_postgres(), str(binary / "postgres"), "-D", str(data), "-p", str(port), "-h", "127.0.0.1"]
    service = Service("postgres", [*command, "-k", "/tmp"], folder, port)
    service.start()
    for name in ("mlflow", "optuna"):
        words = [str(binary / "createdb"), "-h", "127.0.0.1", "-p", str(port), "-U", "synththorax", name]
        wait_until(lambda words=words: subprocess.run(words, stderr=subprocess.DEVNULL).returncode == 0, name)
    return service


def objects(folder: Path, *_: Service) -> Service:
    """Start moto's S3 server with an empty bucket; it holds the objects in memory."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    service = Service("s3", command, folder, port)
    service.start()
    import boto3

    about = {name.lower(): value for name, value in KEYS.items() if name != "AWS_DEFAULT_REGION"}
    client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1", **about)
    client.create_bucket(Bucket=BUCKET)
    return service


def mlflow(folder: Path, database: Service, store: Service) -> Service:
    """Serve MLflow from PostgreSQL, with artifacts in the S3 server."""
    port = free_port()
    command = [
        sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port),
        "--workers", "1",
        "--backend-store-uri", f"postgresql+psycopg2://synththorax@127.0.0.1:{database.port}/mlflow",
        "--artifacts-destination", f"s3://{BUCKET}/mlflow",
    ]  # fmt: skip
    environ = KEYS | {"MLFLOW_S3_ENDPOINT_URL": f"http://127.0.0.1:{store.port}"}
    service = Service("mlflow", command, folder, port, environ)
    service.start()
    return service


def main() -> None:
    """Start all three, print the settings that use them, and wait for Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="of data and logs; default: a temporary one")
    folder = parser.parse_args().folder or Path(tempfile.mkdtemp(prefix="synththorax-services-"))
    folder.mkdir(parents=True, exist_ok=True)
    started: list[Service] = []
    try:
        for start in (postgres, objects, mlflow):
            started.append(start(folder, *started))
        database, store, tracking = started
        for name, value in KEYS.items():
            print(f"export {name}={value}")
        print(f"export AWS_ENDPOINT_URL=http://127.0.0.1:{store.port}")
        print(f"export MLFLOW_TRACKING_URI=http://127.0.0.1:{tracking.port}")
        print(f"# --study postgresql+psycopg2://synththorax@127.0.0.1:{database.port}/optuna", flush=True)
        signal.pause()
    except KeyboardInterrupt:
        pass
    finally:
        for service in reversed(started):
            service.stop()


if __name__ == "__main__":
    main()
