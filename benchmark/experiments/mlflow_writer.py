"""Apply tracking entries to MLflow: nested runs of a parent, metrics, parameters, inputs and artifacts."""

import os
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.experiments.outbox import Entry
from benchmark.utils.processes import process_runs

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

BATCH = 900  # metrics per call; MLflow takes 1000
FEW = 90  # parameters or tags per call; MLflow takes 100
NODE = "synththorax.node"  # tag of a run below the parent: its name within it
ROOT = "synththorax.run"  # the same: the parent
NOTE = "mlflow.note.content"  # the description that MLflow shows
HOST, PID = "synththorax.host", "synththorax.pid"  # tags of a run: the process that writes it
ENTRY_POINT, SOURCE = "mlflow.project.entryPoint", "mlflow.source.name"  # tags that `mlflow run` gives
BEGIN_SECONDS = 10.0  # from the start of a run by `mlflow run` to that of its process
ENDED = ("FINISHED", "FAILED")


def own_process() -> dict[str, str]:
    """Return the tags of the runs that this process writes."""
    return {HOST: socket.gethostname(), PID: str(os.getpid())}


def is_alive(run: Any) -> bool:
    """Return whether a process of this machine still writes a run."""
    tags = run.data.tags
    return bool(tags.get(HOST) == socket.gethostname() and process_runs(int(tags.get(PID, "0"))))


def _is_awaited(run: Any) -> bool:
    """Return whether a process of this machine may still begin to write a run that ``mlflow run`` created."""
    import psutil

    if time.time() - run.info.start_time / 1000 < BEGIN_SECONDS:
        return True
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("MLFLOW_RUN_ID") == run.info.run_id:
                return True
    return False


class RunWriter:
    """Applies the entries of one parent run; each may be applied twice.

    Attributes:
        runs: MLflow runs by their names within the parent, which is the empty name; None for one to skip.
    """

    def __init__(self, client: "MlflowClient", experiment: str, run_id: str) -> None:
        self.client, self.experiment, self.run_id = client, experiment, run_id
        self.runs: dict[str, str | None] = {"": run_id}
        self.skipped: dict[str, str] = {}  # runs that hold the results of names that are skipped
        self._logged: dict[str, str] | None = None

    def apply(self, entry: Entry, again: bool) -> None:
        """Send one entry; ``again`` if it may have been sent before."""
        run_id = self.runs.get(entry["name"])
        if entry["op"] == "open":
            self._open(entry, again)
        elif run_id is not None:
            getattr(self, f"_{entry['op']}")(run_id, entry)

    def _open(self, entry: Entry, again: bool) -> None:
        """Create a run below another, unless it is there, or another run has logged the same result."""
        name, tags = entry["name"], entry["tags"]
        if again and (known := self._child(name)):
            self.runs[name] = None if known.info.status in ENDED else known.info.run_id
            self.skipped[name] = known.info.run_id
            return
        if entry.get("reused") and (other := self._other(tags["key"], entry["reused"] == "now")):
            self.runs[name], self.skipped[name] = None, other
            return
        if entry.get("row") and (known := self._child(name)):  # of a start before, of the same parent
            self.runs[name] = known.info.run_id
            return
        above = self.runs.get(entry.get("parent", "")) or self.run_id
        about = {"mlflow.parentRunId": above, ROOT: self.run_id, NODE: name, **tags}
        run = self.client.create_run(self.experiment, entry["time"], about)
        self.runs[name] = run.info.run_id

    def _child(self, name: str) -> Any:
        text = name.replace("'", "")
        runs = self._search(f"tags.`{ROOT}` = '{self.run_id}' and tags.`{NODE}` = '{text}'")
        return runs[0] if runs else None

    def _other(self, key: str, now: bool) -> str | None:
        """Return the run that has logged a key, or logs it now; ``now`` asks again."""
        if self._logged is None:
            self._logged = self._keys("tags.key != ''")
        if now and key not in self._logged:
            self._logged |= self._keys(f"tags.key = '{key}'")
        return self._logged.get(key)

    def _keys(self, condition: str) -> dict[str, str]:
        """Return the runs by key that are finished, and those that a process of this machine writes."""
        runs = [r for r in self._search(condition) if r.data.tags.get("key")]
        ids = {r.info.run_id: r.data.tags["key"] for r in reversed(runs)}  # the newest last
        writing = {r.info.run_id for r in runs if r.info.status == "RUNNING" and is_alive(r)}
        done = {r.info.run_id for r in runs if r.info.status == "FINISHED"}
        return {key: i for some in (writing, done) for i, key in ids.items() if i in some}

    def _search(self, condition: str) -> list[Any]:
        runs: list[Any] = []
        token = None
        while True:
            page = self.client.search_runs([self.experiment], condition, max_results=1000, page_token=token)
            runs += page
            token = page.token
            if not token:
                return runs

    def _log(self, run_id: str, entry: Entry) -> None:
        """Log metrics, parameters and tags in few calls."""
        from mlflow.entities import Metric, Param, RunTag

        metrics = [
            Metric(name, value, own[0] if own else entry["time"], step)
            for name, value, step, *own in entry.get("metrics", ())
        ]
        params = [Param(name, value) for name, value in entry.get("params", {}).items()]
        tags = [RunTag(name, value) for name, value in entry.get("tags", {}).items()]
        calls = max(-(-len(metrics) // BATCH), -(-len(params) // FEW), -(-len(tags) // FEW))
        for i in range(calls):
            some, few = slice(i * BATCH, (i + 1) * BATCH), slice(i * FEW, (i + 1) * FEW)
            self.client.log_batch(run_id, metrics[some], params[few], tags[few])

    def _inputs(self, run_id: str, entry: Entry) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        inputs = [
            DatasetInput(
                Dataset(d["name"], d["digest"], "synththorax", d["source"], profile=d["profile"]),
                [InputTag("mlflow.data.context", d["split"])],
            )
            for d in entry["datasets"]
        ]
        self.client.log_inputs(run_id, inputs)

    def _artifact(self, run_id: str, entry: Entry) -> None:
        if Path(entry["path"]).is_file():
            self.client.log_artifact(run_id, entry["path"])

    def _note(self, run_id: str, entry: Entry) -> None:
        """Describe a run, with links to the runs that hold its reused stages."""
        holding = {name: self.skipped[name] for name in entry["nodes"] if name in self.skipped}
        links = [f"- [{name}](#/experiments/{self.experiment}/runs/{run})" for name, run in holding.items()]
        parts = [entry["text"], *(["Stages that earlier runs hold:", "\n".join(links)] if links else [])]
        self.client.set_tag(run_id, NOTE, "\n\n".join(parts)[:8000])

    def _stages(self, run_id: str, entry: Entry) -> None:
        """Write which run holds each stage."""
        holding = self.skipped | {name: run for name, run in self.runs.items() if run}
        table = [{**stage, "run_id": holding.get(stage["name"])} for stage in entry["stages"]]
        self.client.log_dict(run_id, {"stages": table}, "stages.json")

    def _end(self, run_id: str, entry: Entry) -> None:
        if run_id == self.run_id:  # again, since a run that began a moment ago counted as alive at the start
            self.end_orphans(False)
        self.client.set_terminated(run_id, entry["status"], entry["time"])

    def end(self, _again: bool) -> None:
        """Mark what is still running of this parent, whose process is gone, as killed."""
        mine = self._search(f"tags.`{ROOT}` = '{self.run_id}' and attributes.status = 'RUNNING'")
        parent = self.client.get_run(self.run_id)
        for run in [*mine, *([parent] if parent.info.status == "RUNNING" else [])]:
            self.client.set_terminated(run.info.run_id, "KILLED")

    def end_orphans(self, _again: bool) -> None:
        """Mark the running runs of this machine whose process is gone as killed."""
        running = {r.info.run_id: r for r in self._search("attributes.status = 'RUNNING'")}
        own = running.pop(self.run_id, None)
        project = own.data.tags.get(SOURCE) if own is not None else None
        for run in running.values():
            tags = run.data.tags
            written_here = tags.get(HOST) == socket.gethostname()
            never_begun = HOST not in tags and ENTRY_POINT in tags and tags.get(SOURCE) == project
            if (written_here and not is_alive(run)) or (never_begun and not _is_awaited(run)):
                self.client.set_terminated(run.info.run_id, "KILLED")
