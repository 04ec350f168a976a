"""The only file that talks to MLflow: a parent run per benchmark run, a nested run per node."""

import logging
import os
import re
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.comparison.records import Comparison
from benchmark.engine.events import RunObserver
from benchmark.engine.node import Graph, Node
from benchmark.engine.store import Result
from benchmark.errors import TrackingError
from benchmark.experiments.tracking_store import create_whole, tracking_uri
from benchmark.planning.plan import Plan
from benchmark.stages import result_type
from benchmark.stages.data import DataResult
from benchmark.stages.records import History

if TYPE_CHECKING:
    pass

ARTIFACTS = {
    "data": ("grid.png", "result.json"),
    "fit": ("result.json",),
    "resized_data": ("grid.png",),
    "generate": ("grid.png",),
    "measure": ("result.json",),
    "classify": ("confusion.png", "predictions.parquet"),
    "learning_curve": ("curve.parquet",),
    "select": ("boundary.png", "result.json"),
    "quality_filter": ("grid.png", "dropped.png", "result.json"),
    "gan_test": ("result.json",),
}
BATCH = 900  # metrics per call; MLflow takes 1000


@contextmanager
def _tracking_errors(uri: str) -> Iterator[None]:
    """Report every error of the tracking store as one line."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise TrackingError(
            f"tracking store {uri}",
            first[:300],
            "Make it writable, free some space, or point MLFLOW_TRACKING_URI elsewhere.",
        ) from error


def _timed(method: Callable[..., Any]) -> Callable[..., Any]:
    """Add the duration of a call to ``seconds``."""

    @wraps(method)
    def timed(self: "Tracker", *args: Any, **kwargs: Any) -> Any:
        began = time.perf_counter()
        try:
            with _tracking_errors(self.uri):
                return method(self, *args, **kwargs)
        finally:
            self.seconds += time.perf_counter() - began

    return timed


class Tracker(RunObserver):
    """Logs one benchmark run; adopts the run that ``mlflow run`` has started, if any.

    One of several runs (a sweep's) is nested in ``parent`` instead.

    Attributes:
        seconds: spent in tracking calls so far.
        run_id: of the parent run.
    """

    def __init__(self, plan: Plan, verb: str, graph: Graph, *, parent: str | None = None) -> None:
        self.uri, self.seconds, self.graph = tracking_uri(), 0.0, graph
        self.plan, self.verb = plan, verb
        self._reused = 0
        self._open: dict[str, str] = {}
        self._logged: dict[str, set[tuple[float, str]]] = {}  # steps and scalars of running nodes
        self._connect(parent)

    @_timed
    def _connect(self, parent: str | None) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        logging.getLogger("alembic").setLevel(logging.WARNING)
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)
        from mlflow.tracking import MlflowClient

        create_whole(self.uri, lambda uri: MlflowClient(uri).search_experiments(max_results=1))
        self.client = MlflowClient(self.uri)
        adopted = "" if parent else os.environ.get("MLFLOW_RUN_ID", "")
        tags = self._parent_tags() | ({"mlflow.parentRunId": parent} if parent else {})
        if parent or adopted:
            self.experiment = self.client.get_run(parent or adopted).info.experiment_id
        else:
            name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or f"synththorax/{self.plan.task.name}"
            known = self.client.get_experiment_by_name(name)
            self.experiment = known.experiment_id if known else self.client.create_experiment(name)
        self.run_id = adopted or self.client.create_run(self.experiment, tags=tags).info.run_id
        for name, value in tags.items() if adopted else ():
            self.client.set_tag(adopted, name, value)
        self._end_orphans()
        logged = self.client.get_run(self.run_id).data.params
        self._batch(self.run_id, {k: v for k, v in self._parent_params().items() if k not in logged})

    def _own_tags(self) -> dict[str, str]:
        """Return the tags of every run of this process."""
        return {
            "task": self.plan.task.name,
            "profile": self.plan.profile_name,
            "synththorax.host": socket.gethostname(),
            "synththorax.pid": str(os.getpid()),
        }

    def _parent_tags(self) -> dict[str, str]:
        plan = self.plan
        return self._own_tags() | {
            "mlflow.runName": f"{self.verb} {plan.task.name} {plan.profile_name} {plan.source}",
            "source": plan.source,
            "stage": self.verb,
            "protocol": plan.protocol_hash,
        }

    def _parent_params(self) -> dict[str, Any]:
        plan = self.plan
        return {
            "device": plan.device,
            "precision": plan.precision,
            "extractor": plan.extractor,
            "image_size": plan.profile.image_size,
            "brackets": list(plan.profile.brackets),
            "seeds": list(plan.profile.seeds),
            "rows": [r.name for r in plan.rows],
            **plan.chosen,
            **plan.settings,
        }

    def _end_orphans(self) -> None:
        """Mark the running runs of this host whose process is gone as killed."""
        running = f"tags.`synththorax.host` = '{socket.gethostname()}' and attributes.status = 'RUNNING'"
        for run in self.client.search_runs([self.experiment], running, max_results=200):
            pid = int(run.data.tags.get("synththorax.pid", "0"))
            if run.info.run_id != self.run_id and not _alive(pid):
                self.client.set_terminated(run.info.run_id, "KILLED")

    def _batch(
        self,
        run_id: str,
        params: Mapping[str, Any] | None = None,
        history: History | None = None,
        metrics: Mapping[str, float] | None = None,
    ) -> None:
        """Log parameters, scalars over steps, and metrics of a run in few calls."""
        from mlflow.entities import Metric, Param

        now = int(time.time() * 1000)
        points = [Metric(metric_name(k), float(v), now, 0) for k, v in (metrics or {}).items()]
        for entry in history or []:
            points += [Metric(k, float(v), now, int(entry["step"])) for k, v in entry.items() if k != "step"]
        given = [Param(k, str(v)[:6000]) for k, v in (params or {}).items()]
        for first in range(0, max(len(points), 1), BATCH):
            self.client.log_batch(
                run_id, metrics=points[first : first + BATCH], params=given if first == 0 else []
            )

    def reused(self, node: Node, result: Result) -> None:
        """Count a reused result; the run that computed it has logged it."""
        self._reused += 1

    @_timed
    def started(self, node: Node) -> None:
        """Open the nested run of a node."""
        if node.id not in self._open:
            tags = {"key": self.graph.keys[node.id], **self._node_tags(node)}
            self._open[node.id] = self._nested(run_name(node), node.stage, tags)

    def _node_tags(self, node: Node) -> dict[str, str]:
        return node.tags | ({"fold": str(node.fold)} if len(self.plan.folds) > 1 else {})

    def _nested(self, name: str, stage: str, tags: Mapping[str, str]) -> str:
        about = {"mlflow.parentRunId": self.run_id, "mlflow.runName": name, "stage": stage}
        run = self.client.create_run(self.experiment, tags={"key": "", **self._own_tags(), **about, **tags})
        return str(run.info.run_id)

    @_timed
    def logged(self, node_id: str, entries: Sequence[Mapping[str, float]]) -> None:
        """Log scalars of a running node, so that its curves show while it runs."""
        if node_id in self._open:
            self._batch(self._open[node_id], history=self._unlogged(node_id, entries))

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
    def finished(self, node: Node, result: Result) -> None:
        """Log what a node computed, and close its run."""
        run_id, record = self._open.pop(node.id), result.read(result_type(node.stage))
        config = node.config.model_dump(mode="json")
        params = self._node_tags(node) | {f"params.{k}": v for k, v in config.get("params", {}).items()}
        if used := result.environment:
            params |= used.model_dump(include={"device", "precision"}, exclude_none=True)
        costs = {"seconds": result.costs.seconds, "peak_memory_mb": result.costs.peak_memory_mb}
        # a scalar that is on its way when the node ends is logged here
        self._batch(run_id, params, self._unlogged(node.id, record.history), record.scalars() | costs)
        del self._logged[node.id]
        if node.stage == "data":
            self._log_data(run_id, result.read(DataResult))
        for name in ARTIFACTS.get(node.stage, ()):
            if (result.folder / name).exists():
                self.client.log_artifact(run_id, str(result.folder / name))
        self.client.set_terminated(run_id)

    def _log_data(self, run_id: str, data: DataResult) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        inputs: list[DatasetInput] = []
        for name, split in data.splits.items():
            about = Dataset(
                f"{self.plan.source}:{name}",
                split.hash[:32],
                "synththorax",
                self.plan.source,
                profile=str(split.model_dump(include={"images", "patients", "counts"}))[:4000],
            )
            inputs.append(DatasetInput(about, [InputTag("mlflow.data.context", name)]))
        for run in (run_id, self.run_id):
            self.client.log_inputs(run, inputs)

    @_timed
    def failed(self, node: Node, line: str, dependents: Sequence[str]) -> None:
        """Close a node's run as failed; nodes that depend on it have no run."""
        run_id = self._open.pop(node.id, None)
        self._logged.pop(node.id, None)
        if run_id:
            self.client.set_tag(run_id, "error", line[:4000])
            self.client.set_tag(run_id, "dependents", str(len(dependents)))
            self.client.set_terminated(run_id, "FAILED")

    @_timed
    def trial(
        self, number: int, state: str, params: Mapping[str, Any], value: float | None, history: History
    ) -> None:
        """Log one trial of a search as a nested run."""
        run_id = self._nested(f"trial {number}", "tune", {"state": state})
        self._batch(run_id, params, history, {} if value is None else {"objective": value})
        self.client.set_terminated(run_id, "FINISHED" if state in ("COMPLETE", "PRUNED") else "FAILED")

    @_timed
    def leaderboard(self, folder: Path, comparison: Comparison) -> None:
        """Log the comparison as a nested run, and the leaderboard on the parent."""
        run_id = self._nested("compare", "compare", {})
        name = self.plan.task.primary_metric.name
        metrics = {f"{row}.{name}": f.metrics[name].estimate for row, f in comparison.primary.items()}
        self._batch(run_id, metrics=metrics)
        for path in sorted(folder.glob("leaderboard.*")):
            self.client.log_artifact(run_id, str(path))
            self.client.log_artifact(self.run_id, str(path))
        self.client.set_terminated(run_id)
        self._batch(self.run_id, metrics=metrics)

    @_timed
    def close(self, status: str, wall_seconds: float, error: str = "") -> None:
        """End the parent run, with what failed; the cost of tracking is part of its record."""
        for run_id in self._open.values():
            self.client.set_terminated(run_id, "KILLED")
        self._open.clear()
        costs = {
            "wall_seconds": wall_seconds,
            "tracking_seconds": self.seconds,
            "tracking_share": self.seconds / max(wall_seconds, 1e-9),
            "stages_reused": self._reused,
        }
        self._batch(self.run_id, metrics=costs)
        if error:
            self.client.set_tag(self.run_id, "error", error[:4000])
        self.client.set_terminated(self.run_id, status)


def metric_name(name: str) -> str:
    """Return a name that MLflow accepts; the name may hold that of a class."""
    return re.sub(r"[^\w\-. :/]", "_", name)


def run_name(node: Node) -> str:
    """Return the name of a nested run, by which runs of several generators sort and compare at a glance."""
    if node.stage == "classify":
        fit = f" fit {node.fit}" if node.fit else ""
        return f"classify {node.row}{fit} +{node.bracket} {node.classifier} seed {node.seed}"
    if node.stage == "learning_curve":
        return f"learning_curve {node.share:g} {node.classifier} seed {node.seed}"
    config, part = node.config, str(getattr(node.config, "of_class", ""))
    if getattr(config, "unit", "") == "per_image" and node.stage == "fit":
        part += f" {getattr(config, 'number', '')}"
    fit = f"fit {node.fit}" if node.fit else ""
    return " ".join(word for word in (node.stage, node.row, fit, part) if word)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return pid > 0
