"""The only file that talks to MLflow: a parent run per benchmark run, a nested run per stage."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

from benchmark.comparison.records import Comparison
from benchmark.engine.node import Node
from benchmark.engine.runner import Watcher
from benchmark.engine.store import Result
from benchmark.errors import TrackingError
from benchmark.planning.plan import Plan

ARTIFACTS = {
    "data": ("grid.png", "result.json"),
    "fit": ("result.json",),
    "generate": ("grid.png",),
    "measure": ("result.json",),
    "classify": ("confusion.png", "predictions.parquet"),
    "curve": ("curve.parquet",),
    "select": ("boundary.png", "result.json"),
    "filter": ("grid.png", "dropped.png", "result.json"),
    "gan_test": ("result.json",),
}


@contextmanager
def _told(uri: str) -> Iterator[None]:
    """Turn any refusal of the tracking store into one clear line."""
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
    """Add up what tracking costs."""

    @wraps(method)
    def timed(self: Tracker, *args: Any, **kwargs: Any) -> Any:
        began = time.perf_counter()
        try:
            with _told(self.uri):
                return method(self, *args, **kwargs)
        finally:
            self.seconds += time.perf_counter() - began

    return timed


def tracking_uri() -> str:
    """MLFLOW_TRACKING_URI, or a SQLite file here, which is MLflow's own default."""
    return os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"


def create_whole(uri: str, create: Callable[[str], object]) -> None:
    """Create a SQLite tracking store under another name first, so that a kill leaves a whole one or none.

    MLflow makes its tables by some fifty migrations, and cannot go on where it was killed among them.

    Args:
        uri: of the store; nothing is done where it is no SQLite file, or the file is there.
        create: makes the store of an URI.
    """
    path = Path(uri.removeprefix("sqlite:///"))
    if not uri.startswith("sqlite:///") or "?" in uri or path.exists():
        return
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    try:
        create(f"sqlite:///{part}")
        if not path.exists():  # otherwise another run was faster, and its store is used
            _give_name(part, path)
    finally:
        part.unlink(missing_ok=True)


def _give_name(part: Path, path: Path) -> None:
    """Put a file under its name unless there is one by now; a link refuses that, where there are links."""
    try:
        os.link(part, path)
    except FileExistsError:
        pass
    except OSError:
        os.replace(part, path)


class Tracker(Watcher):
    """Logs one benchmark run; adopts the run that ``mlflow run`` has started, if any.

    One of several runs (a sweep's) is nested in ``parent`` instead.

    Attributes:
        seconds: spent in tracking calls so far.
        run_id: of the parent run.
    """

    def __init__(
        self,
        plan: Plan,
        verb: str,
        node_keys: Mapping[str, str],
        uri: str | None = None,
        parent: str | None = None,
    ) -> None:
        self.uri, self.seconds, self.keys = uri or tracking_uri(), 0.0, dict(node_keys)
        self.plan, self.verb, self.parent = plan, verb, parent
        self._reused = 0
        self._open: dict[str, str] = {}
        self._connect()

    @_timed
    def _connect(self) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        import logging

        logging.getLogger("alembic").setLevel(logging.WARNING)
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)
        from mlflow.tracking import MlflowClient

        create_whole(self.uri, lambda uri: MlflowClient(uri).search_experiments(max_results=1))
        self.client = MlflowClient(self.uri)
        adopted = os.environ.get("MLFLOW_RUN_ID")
        if self.parent:
            self.experiment = self.client.get_run(self.parent).info.experiment_id
            tags = {**self._parent_tags(), "mlflow.parentRunId": self.parent}
            self.run_id = self.client.create_run(self.experiment, tags=tags).info.run_id
        elif adopted:
            self.run_id, self.experiment = adopted, self.client.get_run(adopted).info.experiment_id
            for name, value in self._parent_tags().items():
                self.client.set_tag(adopted, name, value)
        else:
            name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or f"synththorax/{self.plan.task.name}"
            found = self.client.get_experiment_by_name(name)
            self.experiment = found.experiment_id if found else self.client.create_experiment(name)
            self.run_id = self.client.create_run(self.experiment, tags=self._parent_tags()).info.run_id
        self._end_orphans()
        known = self.client.get_run(self.run_id).data.params
        self._batch(self.run_id, params={k: v for k, v in self._parent_params().items() if k not in known})

    def _parent_tags(self) -> dict[str, str]:
        plan = self.plan
        return {
            "mlflow.runName": f"{self.verb} {plan.task.name} {plan.profile_name} {plan.source}",
            "task": plan.task.name,
            "profile": plan.profile_name,
            "source": plan.source,
            "stage": self.verb,
            "protocol": plan.protocol_hash,
            "synththorax.host": socket.gethostname(),
            "synththorax.pid": str(os.getpid()),
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
        }

    def _end_orphans(self) -> None:
        """Runs of this host whose process is gone were killed; say so, rather than leave them running."""
        mine = f"tags.`synththorax.host` = '{socket.gethostname()}' and attributes.status = 'RUNNING'"
        for run in self.client.search_runs([self.experiment], mine, max_results=200):
            pid = int(run.data.tags.get("synththorax.pid", "0"))
            if run.info.run_id != self.run_id and not _alive(pid):
                self.client.set_terminated(run.info.run_id, "KILLED")

    def _batch(
        self,
        run_id: str,
        params: Mapping[str, Any] | None = None,
        history: list[dict[str, float]] | None = None,
        metrics: Mapping[str, float] | None = None,
    ) -> None:
        """Everything of a run in one call; MLflow takes 1000 metrics a call."""
        from mlflow.entities import Metric, Param

        now = int(time.time() * 1000)
        points = [Metric(metric_name(k), float(v), now, 0) for k, v in (metrics or {}).items()]
        for entry in history or []:
            points += [Metric(k, float(v), now, int(entry["step"])) for k, v in entry.items() if k != "step"]
        given = [Param(k, str(v)[:6000]) for k, v in (params or {}).items()]
        for first in range(0, max(len(points), 1), 900):
            self.client.log_batch(
                run_id, metrics=points[first : first + 900], params=given if first == 0 else []
            )

    def reused(self, node: Node, result: Result) -> None:
        """A reused result was logged by the run that computed it."""
        self._reused += 1

    @_timed
    def started(self, node: Node) -> None:
        """Open the nested run of a node."""
        if node.id not in self._open:
            self._open[node.id] = self._nested(run_name(node), node.stage, self.keys[node.id], node.tags)

    def _nested(self, name: str, stage: str, key: str, tags: Mapping[str, str]) -> str:
        return self.client.create_run(
            self.experiment,
            tags={
                "mlflow.parentRunId": self.run_id,
                "mlflow.runName": name,
                "task": self.plan.task.name,
                "profile": self.plan.profile_name,
                "stage": stage,
                "key": key,
                "synththorax.host": socket.gethostname(),
                "synththorax.pid": str(os.getpid()),
                **tags,
            },
        ).info.run_id

    @_timed
    def finished(self, node: Node, result: Result) -> None:
        """Log what a node computed, and close its run."""
        run_id, said = self._open.pop(node.id), result.manifest["result"]
        history: list[dict[str, float]] = said.get("history") or next(
            (part["history"] for part in said.values() if isinstance(part, dict) and "history" in part), []
        )
        metrics = dict(said.get("metrics", {})) | {k: float(v) for k, v in result.manifest["costs"].items()}
        metrics |= {k: m["value"] for k, m in said.get("measures", {}).items()}
        if said.get("memorization"):
            metrics["memorization_rate"] = said["memorization"]["rate"]
        params = dict(node.tags) | {f"params.{k}": v for k, v in dict(node.config.get("params", {})).items()}
        params |= {k: node.config[k] for k in ("device", "precision") if k in node.config}
        self._batch(run_id, params, history, metrics)
        self._log_data(run_id, node, result)
        for name in ARTIFACTS.get(node.stage, ()):
            if (result.folder / name).exists():
                self.client.log_artifact(run_id, str(result.folder / name))
        self.client.set_terminated(run_id)

    def _log_data(self, run_id: str, node: Node, result: Result) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        if node.stage != "data":
            return
        inputs = []
        for name, split in result.manifest["result"]["splits"].items():
            about = Dataset(
                f"{self.plan.source}:{name}",
                split["hash"][:32],
                "synththorax",
                self.plan.source,
                profile=str({k: split[k] for k in ("images", "patients", "counts")})[:4000],
            )
            inputs.append(DatasetInput(about, [InputTag("mlflow.data.context", name)]))
        for run in (run_id, self.run_id):
            self.client.log_inputs(run, inputs)

    @_timed
    def failed(self, node: Node, line: str) -> None:
        """Close a node's run as failed."""
        run_id = self._open.pop(node.id, None)
        if run_id:
            self.client.set_tag(run_id, "error", line[:4000])
            self.client.set_terminated(run_id, "FAILED")

    @_timed
    def trial(
        self,
        number: int,
        state: str,
        params: Mapping[str, Any],
        value: float | None,
        history: list[dict[str, float]],
    ) -> None:
        """Log one trial of a search as a nested run."""
        run_id = self._nested(f"trial {number}", "tune", "", {"state": state})
        self._batch(run_id, params, history, {} if value is None else {"objective": value})
        self.client.set_terminated(run_id, "FINISHED" if state in ("COMPLETE", "PRUNED") else "FAILED")

    @_timed
    def leaderboard(self, folder: Path, comparison: Comparison) -> None:
        """Log the comparison as a nested run, and the leaderboard on the parent."""
        run_id = self._nested("compare", "compare", "", {})
        name = self.plan.task.primary_metric.name
        metrics = {f"{row}.{name}": f.metrics[name].estimate for row, f in comparison.primary.items()}
        self._batch(run_id, metrics=metrics)
        for path in sorted(folder.glob("leaderboard.*")):
            self.client.log_artifact(run_id, str(path))
            self.client.log_artifact(self.run_id, str(path))
        self.client.set_terminated(run_id)
        self._batch(self.run_id, metrics=metrics)

    @_timed
    def close(self, status: str, wall_seconds: float) -> None:
        """End the parent run; what tracking cost is part of its record."""
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
        self.client.set_terminated(self.run_id, status)


def metric_name(name: str) -> str:
    """A name that MLflow takes, of one that may hold the name of a class."""
    return re.sub(r"[^\w\-. :/]", "_", name)


def run_name(node: Node) -> str:
    """The name of a nested run: so that runs of several generators sort and compare at a glance."""
    if node.stage == "classify":
        tags = node.tags
        return f"classify {node.row} +{tags['bracket']} {tags['classifier']} seed {tags['seed']}"
    if node.stage == "curve":
        tags = node.tags
        return f"curve {tags['share']} {tags['classifier']} seed {tags['seed']}"
    return f"{node.stage} {node.row}".strip()


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return pid > 0
