"""One trial of a search, computed by a worker of the engine. The test split is out of its reach."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from benchmark.engine.claim import Claim
from benchmark.engine.node import Graph, Node, StageConfig
from benchmark.engine.store import Store
from benchmark.engine.store_fault import store_is_blamed
from benchmark.engine.worker import Inputs, Log, PeakMemory, Progress
from benchmark.errors import BenchmarkError, StoreError, TaskError
from benchmark.experiments.study import Direction, open_study, retry_lost, sampler
from benchmark.experiments.utility import val_utility
from benchmark.planning.graph import build
from benchmark.planning.plan import Plan, Row
from benchmark.planning.rows import generator_row
from benchmark.plugins.registry import Plugin
from benchmark.stages.fit import FitConfig, fit
from benchmark.stages.fit_context import ShouldPrune
from benchmark.stages.foreign import suggest
from benchmark.stages.job import Job, first_line
from benchmark.stages.records import REAL_ONLY, StageResult
from benchmark.utils.training_state import one_thread

if TYPE_CHECKING:
    import optuna

Objective = Literal["fid", "utility", "both"]
NUMBER = "trial.json"  # number of the trial that a worker has begun, in its scratch folder


@dataclass(frozen=True)
class Search:
    """The part that all trials of a search share.

    Attributes:
        storage, study: where the study is, and its name.
        folders: of the results that fits and trainings read, by node; the data without tests.
        store: folder of the store.
        parallel: several trials run at once.
        most_seconds, most_memory_gb: constraints of a trial.
    """

    plan: Plan
    plugin: Plugin
    storage: str
    study: str
    seed: int
    objective: Objective
    folders: Mapping[str, str]
    store: str
    parallel: bool
    most_seconds: float | None = None
    most_memory_gb: float | None = None

    @property
    def directions(self) -> tuple[Direction, ...]:
        """Direction of each objective."""
        both: dict[str, tuple[Direction, ...]] = {
            "fid": ("minimize",),
            "utility": ("maximize",),
            "both": ("minimize", "maximize"),
        }
        return both[self.objective]


def searched_row(plan: Plan, plugin: Plugin, params: Mapping[str, Any]) -> Row:
    """Return the searched row, the last of the plan, with other parameters."""
    searched = plan.rows[-1]
    return replace(generator_row(plugin, searched.entry, dict(params)), name=searched.name)


class TrialConfig(StageConfig, stage="trial", version="1", seconds=100.0):
    """A place in a study; the study decides the parameters.

    Attributes:
        study_id: of the study as it was created.
        place: among the trials of the study.
    """

    study_id: str
    place: int
    device: str
    search: Any = Field(exclude=True)


class TrialResult(StageResult):
    """A trial that has ended.

    Attributes:
        values: of the objectives; empty unless it is complete.
        error: why it failed; empty otherwise.
    """

    number: int
    state: str
    params: dict[str, Any]
    values: tuple[float, ...] = ()
    error: str = ""


class Pruned(Exception):
    """The pruner ended this trial."""


class Stopped(BaseException):
    """The search cannot go on; Optuna passes it on, and the trial counts as killed and runs again."""

    def __init__(self, reason: BaseException) -> None:
        super().__init__(reason)
        self.reason = reason


def run_trial(
    node: Node, inputs: Inputs, out: Path, work: Path, progress: Progress, log: Log
) -> dict[str, Any]:
    """Run the trial of a node; a stage function of the engine."""
    one_thread()
    config: TrialConfig = node.config  # type: ignore[assignment]
    search: Search = config.search
    study = open_study(search.storage, search.study, search.directions)
    note = work / NUMBER
    if note.exists():  # of a worker that was lost
        retry_lost(study, int(json.loads(note.read_text())))
    ended: list[Any] = []
    trial = Trial(search, work, progress, log)
    study.sampler = sampler(search.seed, config.place, search.parallel)
    try:
        study.optimize(trial.run, n_trials=1, callbacks=[lambda _, frozen: ended.append(frozen)])
    except Stopped as stop:
        raise stop.reason from None
    (frozen,) = ended
    note.unlink(missing_ok=True)
    result = TrialResult(
        number=frozen.number, state=frozen.state.name, params=frozen.params, history=trial.history,
        values=tuple(frozen.values or ()) if frozen.state.name == "COMPLETE" else (),
        error=frozen.user_attrs.get("error", ""),
    )  # fmt: skip
    return result.record()


class Trial:
    """The objective: fits with one set of parameters, and the trainings with their images."""

    def __init__(self, search: Search, work: Path, progress: Progress, log: Log) -> None:
        self.search, self.work, self.progress, self.log = search, work, progress, log
        self.store = Store(Path(search.store))
        self.history: list[dict[str, float]] = []

    def run(self, trial: optuna.Trial) -> Any:
        """Return the objective's values; what stops the search passes Optuna by."""
        (self.work / NUMBER).write_text(json.dumps(trial.number))
        try:
            return self.objective(trial)
        except (KeyboardInterrupt, StoreError) as reason:
            raise Stopped(reason) from None

    def objective(self, trial: optuna.Trial) -> Any:
        """Return the best preview FID (mean over the fits), the utility on ``val``, or both."""
        import optuna

        search = self.search
        row = searched_row(search.plan, search.plugin, suggested(search.plugin, trial))
        graph = trial_graph(search.plan, row, search.objective)
        began = time.monotonic()
        try:
            with PeakMemory() as memory:
                values = self._values(graph, row, self._pruning(trial))
        except Pruned:
            raise optuna.TrialPruned from None
        except StoreError:
            raise
        except BenchmarkError as error:
            if isinstance(error.__cause__, Pruned):
                raise optuna.TrialPruned from None
            trial.set_user_attr("error", str(error))
            return float("nan")  # Optuna counts the trial as failed and continues
        self._constrain(trial, time.monotonic() - began, memory.peak / 2**30)
        return values[0] if len(values) == 1 else values

    def _pruning(self, trial: optuna.Trial) -> ShouldPrune:
        def should_prune(step: int, fid: float) -> bool:
            self.history.append({"step": float(step), "val_fid": fid})
            self.log(step, {"val_fid": fid})
            if self.search.objective == "fid":  # Optuna prunes by one objective, and a utility has no steps
                trial.report(fid, len(self.history) - 1)
                if trial.should_prune():
                    raise Pruned
            return False

        return should_prune

    def _constrain(self, trial: optuna.Trial, seconds: float, memory_gb: float) -> None:
        if self.search.most_seconds is not None:
            trial.set_constraint("seconds", seconds - self.search.most_seconds)
        if self.search.most_memory_gb is not None:
            trial.set_constraint("memory", memory_gb - self.search.most_memory_gb)

    def _values(self, graph: Graph, row: Row, should_prune: ShouldPrune) -> tuple[float, ...]:
        """Fit, and train where the utility is an objective; a trial that fails leaves its fits to a retry."""
        search, fids, claims = self.search, list[float](), list[Claim]()
        folders = {name: Path(folder) for name, folder in search.folders.items()}
        for node in graph.find("fit"):
            claim = self._claim(graph.keys[node.id])
            claims.append(claim)
            with claim.held(), store_is_blamed(self.store, claim.folder):
                job: Job[FitConfig] = Job(
                    node, _inputs(node, folders), claim.out, claim.scratch, self.progress
                )
                result = fit(job, should_prune)
                job.write(result)
            folders[node.id] = claim.out
            fid = result.chosen.get(f"val_fid_{search.plan.extractor}")
            fids += [] if fid is None else [fid]
        values: tuple[float, ...] = ()
        if search.objective != "utility":
            values += (sum(fids) / len(fids),)
        if search.objective != "fid":
            values += (val_utility(graph, row.name, partial(_inputs, folders=folders), folders, self.work),)
        for claim in claims:
            claim.discard()
        return values

    def _claim(self, key: str) -> Claim:
        claim = self.store.claim("trial-fit", key)
        assert isinstance(claim, Claim)  # no fit of a trial is committed
        return claim


def trial_graph(plan: Plan, row: Row, objective: Objective) -> Graph:
    """Return what a trial computes of a row in the first fold, and all that it needs."""
    evaluating = [r for r in plan.rows if r.name == REAL_ONLY]
    graph = build(replace(plan, rows=(*evaluating, row)))
    first = row.fit_seeds(plan.profile)[0]
    ends = "fit" if objective == "fid" else "classify"
    bracket = plan.profile.primary_bracket

    def wanted(node: Node) -> bool:
        own = node.stage == ends and node.row == row.name and node.fold == 0 and node.fit == first
        return own and (ends == "fit" or node.bracket == bracket)

    return graph.needed(wanted)


def _inputs(node: Node, folders: Mapping[str, Path]) -> dict[str, tuple[Path, ...]]:
    return {role: tuple(folders[need] for need in ids) for role, ids in node.inputs.items()}


def suggested(plugin: Plugin, trial: Any) -> dict[str, Any]:
    """Return the parameters that a generator's search space draws.

    Raises:
        TaskError: ``search_space`` raised an error.
    """
    from optuna import TrialPruned

    try:
        return suggest(plugin, trial)
    except (TrialPruned, TaskError):
        raise
    except Exception as error:  # a third party's code may raise anything
        problem = f"search_space(trial) raised {type(error).__name__}: {first_line(error)}"
        raise TaskError(f"generator '{plugin.name}'", problem, "Fix the generator's search space.") from error
