"""Track a benchmark run in MLflow: a parent run, and a nested run per node."""

import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

from benchmark.engine.events import RunObserver
from benchmark.engine.node import Graph, Node
from benchmark.engine.store import Result, store_root
from benchmark.experiments.mlflow_errors import retried, tracking_errors
from benchmark.experiments.mlflow_names import (
    ARTIFACTS,
    datasets,
    metric_name,
    node_tags,
    own_tags,
    parent_params,
    parent_tags,
    run_name,
)
from benchmark.experiments.mlflow_rows import RowRuns
from benchmark.experiments.mlflow_run import experiment_id, given_run, require_agreement
from benchmark.experiments.mlflow_sender import MOST_SECONDS, Sender
from benchmark.experiments.mlflow_writer import RunWriter
from benchmark.experiments.outbox import Outbox, take_left
from benchmark.experiments.tracking_store import identity, mlflow_store, prepare, sqlite_file, tracking_uri
from benchmark.planning.plan import Plan
from benchmark.reporting.leaderboards.board import Board
from benchmark.reporting.summary import headline
from benchmark.stages import result_type
from benchmark.stages.data import DataResult
from benchmark.stages.records import History

PARENT = ""  # name of the parent run among the names of its nested runs
KILLED_SECONDS = 5.0  # to send what a stopped run has left
# A dead server must be noticed soon; MLflow's own defaults wait for minutes. The thread tries again anyway.
HTTP = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
}


def _timed(method: Callable[..., Any]) -> Callable[..., Any]:
    """Add the duration of a call to the cost of tracking."""

    @wraps(method)
    def timed(self: "Tracker", *args: Any, **kwargs: Any) -> Any:
        began = time.perf_counter()
        try:
            return method(self, *args, **kwargs)
        finally:
            self._own_seconds += time.perf_counter() - began

    return timed


class Tracker(RunObserver):
    """Tracks one benchmark run; continues the run that ``mlflow run`` has started, if any.

    One of several runs (a sweep's) is nested in ``parent`` instead. Once it is connected, no method waits for
    the tracking store: entries go to an outbox, and a thread sends them.

    Attributes:
        run_id: of the parent run.
    Raises:
        TrackingError: the tracking store cannot be used, before anything is computed.
    """

    def __init__(self, plan: Plan, verb: str, graph: Graph, *, parent: str | None = None) -> None:
        self.uri, self.graph, self.plan, self.verb = tracking_uri(), graph, plan, verb
        self._own_seconds = 0.0
        self._open: set[str] = set()
        self._ended: set[str] = set()  # a report of progress may arrive after the end of its node
        self._logged: dict[str, set[tuple[float, str]]] = {}  # steps and scalars of running nodes
        self._stages: dict[str, dict[str, Any]] = {}  # where each result comes from, by node
        self._computing = False
        self._rows = RowRuns(plan, self._put, self._log)
        self._failed: dict[str, str] = {}  # errors by row
        self._datasets: list[dict[str, str]] = []
        self._answer = ""
        self._connect(parent)

    @_timed
    def _connect(self, parent: str | None) -> None:
        quiet()
        from mlflow.tracking import MlflowClient

        with tracking_errors(self.uri):
            prepare(self.uri)
            if sqlite_file(self.uri):
                retried(lambda: mlflow_store(self.uri))
            self.client = MlflowClient(self.uri)
            experiment, params = self._parent_run(parent)
        folder, store = store_root() / "tracking", identity(self.uri)
        self._outbox = Outbox(folder, store, experiment, self.run_id)
        writer = RunWriter(self.client, experiment, self.run_id)
        self._sender = Sender(self.uri, writer, self._outbox, take_left(folder, store))
        self._log(PARENT, tags=parent_tags(self.plan, self.verb), params=params)

    def _parent_run(self, parent: str | None) -> tuple[str, dict[str, Any]]:
        """Find or create the parent run; return its experiment, and the parameters that it lacks."""
        params, given = parent_params(self.plan), parent or os.environ.get("MLFLOW_RUN_ID", "")
        if not given:
            experiment = experiment_id(self.client, f"synththorax/{self.plan.task.name}")
        else:
            run = given_run(self.client, given)
            experiment = str(run.info.experiment_id)
            if not parent:
                require_agreement(run, parent_tags(self.plan, self.verb), params)
                self.run_id = given
                return experiment, {k: v for k, v in params.items() if k not in run.data.params}
        tags = parent_tags(self.plan, self.verb) | ({"mlflow.parentRunId": parent} if parent else {})
        self.run_id = str(retried(lambda: self.client.create_run(experiment, tags=tags)).info.run_id)
        return experiment, params

    @property
    def seconds(self) -> float:
        """Seconds spent on tracking so far, here and in the thread."""
        return self._own_seconds + self._sender.seconds

    def _put(self, op: str, name: str, **more: Any) -> None:
        """Add an entry to the outbox; ``name`` is that of a nested run, or the parent's."""
        self._outbox.append({"op": op, "name": name, "time": int(time.time() * 1000), **more})

    def _log(
        self,
        name: str,
        *,
        params: Mapping[str, Any] | None = None,
        history: History | None = None,
        metrics: Mapping[str, float] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Log parameters, metrics, scalars over steps, and tags of a run."""
        points = [(metric_name(k), float(v), 0) for k, v in (metrics or {}).items()]
        for scalars in history or []:
            step = int(scalars["step"])
            points += [(metric_name(k), float(v), step) for k, v in scalars.items() if k != "step"]
        texts = {k: str(v)[:6000] for k, v in (params or {}).items() if v not in (None, "", (), [], {})}
        self._put("log", name, metrics=points, params=texts, tags=dict(tags or {}))

    def _nested(
        self,
        name: str,
        title: str,
        stage: str,
        tags: Mapping[str, str],
        reused: str = "",
        parent: str = PARENT,
    ) -> None:
        """Open a run below another; ``reused`` unless another run has logged its key."""
        about = {"mlflow.runName": title, "stage": stage, "key": "", **own_tags(self.plan), **tags}
        self._put("open", name, tags=about, reused=reused, parent=parent)

    def started(self, node: Node) -> None:
        """Note that computing has begun."""
        self._computing = True

    def progressed(self, node_id: str, share: float) -> None:
        """Open the nested run of a node when its work begins."""
        if node_id not in self._open | self._ended:
            self._begin(self.graph[node_id])

    def _begin(self, node: Node, reused: str = "") -> None:
        tags = {"key": self.graph.keys[node.id], **node_tags(self.plan, node)} | (
            {"reused": "true"} if reused else {}
        )
        parent = self._rows.parent_of(node.row, node.id)
        self._nested(node.id, run_name(node), node.stage, tags, reused, parent)
        self._open.add(node.id)

    @_timed
    def logged(self, node_id: str, entries: Sequence[Mapping[str, float]]) -> None:
        """Log scalars of a running node, so that its curves show while it runs."""
        if node_id in self._open:
            self._log(node_id, history=self._unlogged(node_id, entries))

    @_timed
    def pictured(self, node_id: str, path: Path) -> None:
        """Log the picture of a running node, such as the grid of its previews."""
        if node_id in self._open:
            self._put("artifact", node_id, path=str(path.absolute()))

    def _unlogged(self, node_id: str, entries: Sequence[Mapping[str, float]]) -> History:
        """Return what is not logged yet, and note it: a resumed fit repeats its last steps."""
        known = self._logged.setdefault(node_id, set())
        new = [
            {name: value for name, value in entry.items() if (entry["step"], name) not in known}
            | {"step": entry["step"]}
            for entry in entries
        ]
        known |= {(entry["step"], name) for entry in new for name in entry}
        return new

    @_timed
    def reused(self, node: Node, result: Result) -> None:
        """Log a reused result, unless the run that computed it has done so."""
        self._begin(node, "now" if self._computing else "before")
        self._complete(node, result, reused=True)

    @_timed
    def finished(self, node: Node, result: Result) -> None:
        """Log what a node computed, and close its run."""
        if node.id not in self._open:  # it ended before it reported any progress
            self._begin(node)
        self._complete(node, result, reused=False)

    def _complete(self, node: Node, result: Result, *, reused: bool) -> None:
        record, config = result.read(result_type(node.stage)), node.config.model_dump(mode="json")
        params = node_tags(self.plan, node) | {f"params.{k}": v for k, v in config.get("params", {}).items()}
        if used := result.environment:
            params |= used.model_dump(include={"device", "precision"}, exclude_none=True)
        costs = {"seconds": result.costs.seconds, "peak_memory_mb": result.costs.peak_memory_mb}
        # a scalar that is on its way when the node ends is logged here
        history = self._unlogged(node.id, record.history)
        self._log(node.id, params=params, history=history, metrics=record.scalars() | costs)
        if node.stage == "data":
            self._datasets = datasets(self.plan, result.read(DataResult))
            for name in (node.id, PARENT):
                self._put("inputs", name, datasets=self._datasets)
        for file in ARTIFACTS.get(node.stage, ()):
            self._put("artifact", node.id, path=str((result.folder / file).absolute()))
        self._end(node.id, "FINISHED")
        self._stages[node.id] = {"name": node.id, "key": self.graph.keys[node.id], "reused": reused}

    def _end(self, name: str, status: str) -> None:
        self._put("end", name, status=status)
        self._open.discard(name)
        self._ended.add(name)
        self._logged.pop(name, None)

    @_timed
    def failed(self, node: Node, line: str, dependents: Sequence[str]) -> None:
        """Close a node's run as failed; nodes that depend on it have no run."""
        if node.id not in self._open:
            self._begin(node)
        self._log(node.id, tags={"error": line[:4000], "dependents": str(len(dependents))})
        self._end(node.id, "FAILED")
        self._failed.setdefault(node.row, line)

    @_timed
    def trial(
        self, number: int, state: str, params: Mapping[str, Any], value: float | None, history: History
    ) -> None:
        """Log one trial of a search as a nested run."""
        name = f"trial {number}"
        self._nested(name, name, "tune", {"state": state})
        self._log(name, params=params, history=history, metrics={} if value is None else {"objective": value})
        self._end(name, "FINISHED" if state in ("COMPLETE", "PRUNED") else "FAILED")

    @_timed
    def leaderboard(self, folder: Path, board: Board) -> None:
        """Log the figures of every row on its run, and the leaderboard on the parent."""
        self._rows.finish(folder, board, self._datasets)
        self._answer = f"{board.verdict.text}\n\n```\n{headline(board)}\n```"
        for path in sorted(folder.glob("leaderboard.*")):
            self._put("artifact", PARENT, path=str(path.absolute()))

    def close(self, status: str, wall_seconds: float, error: str = "") -> None:
        """End the parent run, with what failed and the cost of tracking; wait until all is sent, not long."""
        for name in sorted(self._open):
            self._end(name, "KILLED")
        self._rows.close(status, self._failed)
        most = KILLED_SECONDS if status == "KILLED" else MOST_SECONDS
        reused = sum(stage["reused"] for stage in self._stages.values())
        if self._stages:
            self._put("stages", PARENT, stages=list(self._stages.values()))
        self._sender.drain(most)
        costs = {
            "wall_seconds": wall_seconds,
            "tracking_seconds": self.seconds,
            "tracking_share": self.seconds / max(wall_seconds, 1e-9),
            "stages_reused": reused,
        }
        reuse = f"{reused} of {len(self._stages)} stages were reused; stages.json names the run of each."
        note = "\n\n".join(filter(None, [self._answer, reuse if reused else ""]))
        tags = {"mlflow.note.content": note} if note else {}
        self._log(PARENT, metrics=costs, tags=tags | ({"error": error[:4000]} if error else {}))
        self._end(PARENT, status)
        self._sender.drain(most)
        self._sender.close()


def quiet() -> None:
    """Silence MLflow's pages about a fault that this suite reports in a line, and shorten its attempts."""
    for name in ("MLFLOW_DISABLE_TELEMETRY", "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"):
        os.environ.setdefault(name, "true")
    for name, value in HTTP.items():
        os.environ.setdefault(name, value)
    for name in ("alembic", "mlflow.store.db.utils", "urllib3.connectionpool"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
