"""Search a generator's parameters: trials are nodes of the engine, and Optuna draws what each tries."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from benchmark.engine.events import RunObserver
from benchmark.engine.node import Graph, Node
from benchmark.engine.resources import LOCAL, Placement
from benchmark.engine.runner import execute
from benchmark.engine.store import Result, Store, store_root
from benchmark.errors import TaskError
from benchmark.experiments.mlflow_tracker import Tracker
from benchmark.experiments.run import close_after, settings_part
from benchmark.experiments.study import ID, finished, open_study, other_studies
from benchmark.experiments.tracking_store import shown
from benchmark.experiments.trial import (
    Objective,
    Search,
    TrialConfig,
    TrialResult,
    run_trial,
    searched_row,
    suggested,
    trial_graph,
)
from benchmark.experiments.utility import check_utility
from benchmark.planning.plan import Plan, Row
from benchmark.plugins.registry import Plugin, find
from benchmark.stages import run as run_stage
from benchmark.stages.foreign import facts
from benchmark.stages.job import DATA
from benchmark.utils.files import write_text
from benchmark.utils.hashing import sha256_of
from benchmark.utils.outputs import refuse_foreign_files

if TYPE_CHECKING:
    import optuna

BEST, OBJECTIVE = "best_params.yaml", "val_"  # and the metric's name


@dataclass(frozen=True)
class Settings:
    """Settings of a search.

    Attributes:
        trials: in all, finished ones included.
        seed: of the sampler.
        study: SQLite file, journal file (``.journal``), or URL of a database.
        out: folder for ``best_params.yaml``.
        objective: preview FID, primary metric on ``val``, or both as a Pareto front.
        workers: trials at once.
        most_seconds, most_memory_gb: constraints of a trial.
    """

    trials: int
    seed: int
    study: str
    out: Path
    objective: Objective = "fid"
    workers: int = 1
    placement: Placement = LOCAL
    most_seconds: float | None = None
    most_memory_gb: float | None = None


def tunable(generator: str) -> Plugin:
    """Return the generator of a name, or of a file.

    Raises:
        TaskError: there is none, or it has no search space.
    """
    plugin = find("generators", [generator])[0]
    if not facts(plugin)[0]:
        raise TaskError(
            f"generator '{plugin.name}'", "has no search_space(trial)", "There is nothing to tune."
        )
    return plugin


def tune(plan: Plan, plugin: Plugin, settings: Settings) -> Path:
    """Search the generator's own space on ``val``.

    An existing study continues as if it had not stopped: a trial whose process was killed runs again.
    Another protocol, other data, other code and another objective are another study.

    Args:
        plan: of the task with this generator as its last row.
        plugin: the generator; see ``tunable``.
    Returns:
        Path of ``best_params.yaml``, which ``run --params`` accepts.
    Raises:
        TaskError: no trial succeeded, or the search space raised an error.
        StoreError: ``best_params.yaml`` is there, and is not of a search.
    """
    best = settings.out / BEST
    refuse_foreign_files([best], best, f"objective: {OBJECTIVE}")
    if settings.objective != "fid":
        check_utility(plan)
    search = Search(
        plan=plan,
        plugin=plugin,
        storage=_absolute(settings.study),
        study=_identity(plan, plugin, settings),
        seed=settings.seed,
        objective=settings.objective,
        folders={},
        store=str(store_root().absolute()),
        parallel=settings.workers > 1 or settings.placement.elsewhere,
        most_seconds=settings.most_seconds,
        most_memory_gb=settings.most_memory_gb,
    )
    study = open_study(search.storage, search.study, search.directions)
    if other_studies(study):
        print(f"note: {shown(settings.study)} holds a search with another protocol, data or code too")
    began, tracker = time.monotonic(), Tracker(plan, "tune", Graph(()))
    try:
        _run(search, study, settings, tracker)
        tracker.close("FINISHED", time.monotonic() - began)
    except BaseException as fault:
        close_after(fault, tracker, time.monotonic() - began)
        raise
    return _write_best(study, search, best)


def _absolute(study: str) -> str:
    return study if "://" in study else os.path.abspath(study)


def _run(search: Search, study: optuna.Study, settings: Settings, tracker: Tracker) -> None:
    """Compute the inputs of all trials, then the trials that are missing."""
    store, done = Store(store_root()), len(finished(study))
    if done >= settings.trials:
        return
    search = replace(search, folders=_inputs_without_test(search, store, settings))
    device, study_id = search.plan.device, study.user_attrs[ID]
    places = range(done, settings.trials)
    graph = Graph(
        Node(
            f"trial/{search.plan.rows[-1].name}/{place}",
            TrialConfig(study_id=study_id, place=place, device=device, search=search),
            row=search.plan.rows[-1].name,
            expected_seconds=TrialConfig.seconds,
        )
        for place in places
    )
    outcome = execute(
        graph, store, run_trial, workers=settings.workers, observer=_Reporter(tracker, search),
        placement=settings.placement,
    )  # fmt: skip
    for text in outcome.report():
        print(f"failed: {text}", flush=True)
    if not outcome.results:
        raise TaskError(f"tune {search.plugin.name}", "no trial ended", next(iter(outcome.report()), ""))


def _inputs_without_test(search: Search, store: Store, settings: Settings) -> dict[str, str]:
    """Compute what fits and trainings read; of the data train and val alone, so that no trial reads test."""
    row = searched_row(search.plan, search.plugin, {})
    graph = trial_graph(search.plan, row, search.objective)
    needed = graph.needed(lambda n: any(n.id in own.needs for own in graph if own.row == row.name))
    shared = Graph(node for node in needed if node.row != row.name)
    outcome = execute(
        shared,
        store,
        run_stage,
        workers=settings.workers,
        essential=lambda _: True,
        placement=settings.placement,
    )
    folders = {name: str(result.folder.absolute()) for name, result in outcome.results.items()}
    for name in {n for node in graph if node.row == row.name for n in node.inputs.get(DATA, ())}:
        reduced = store.work(f"tune-{graph.keys[name]}").absolute()
        for file in ("train.arrow", "val.arrow"):
            shutil.copyfile(Path(folders[name]) / file, reduced / file)
        folders[name] = str(reduced)
    return folders


class _Reporter(RunObserver):
    """Prints and tracks every trial that has ended."""

    def __init__(self, tracker: Tracker, search: Search) -> None:
        self.tracker, self.search = tracker, search

    def finished(self, node: Node, result: Result) -> None:
        """Log a trial as a nested run."""
        trial = result.read(TrialResult)
        first = trial.values[0] if trial.values else None
        self.tracker.trial(trial.number, trial.state, trial.params, first, trial.history)
        names = {"fid": ("val FID",), "utility": ("val utility",), "both": ("val FID", "val utility")}
        values = trial.values or ("-",) * len(self.search.directions)
        texts = [v if isinstance(v, str) else f"{v:.3f}" for v in values]
        scores = ", ".join(f"{n} {t}" for n, t in zip(names[self.search.objective], texts, strict=True))
        print(f"trial {trial.number}: {trial.state.lower()}, {scores}, {trial.params}", flush=True)


def _identity(plan: Plan, plugin: Plugin, settings: Settings) -> str:
    """Return the name of a study: words, and a hash of protocol, data and code; the machine is left out."""
    anywhere = replace(plan, device="cuda", precision="float32")
    keys = sorted(trial_graph(anywhere, searched_row(anywhere, plugin, {}), "fid").keys.values())
    words = [plan.task.name, plan.profile_name, plan.source, plan.rows[-1].name, *settings_part(plan)]
    own: list[Any] = [plan.protocol_hash, keys, facts(plugin)[1]]
    limits = [settings.most_seconds, settings.most_memory_gb]
    if settings.objective != "fid" or any(limits):
        words.append(settings.objective)
        own += [settings.objective, limits]
    return "/".join([*words, sha256_of(own)[:16]])


def _write_best(study: optuna.Study, search: Search, path: Path) -> Path:
    """Write the parameters of the best trial; of a Pareto front, of the one with the highest utility."""
    from optuna.trial import FixedTrial, TrialState

    plan, name = search.plan, search.plan.rows[-1].name
    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if not done:
        failed = [t.user_attrs.get("error", "") for t in study.get_trials(deepcopy=False)]
        raise TaskError(f"tune {name}", "no trial succeeded", next(filter(None, failed), "Add trials."))
    front = study.best_trials
    if not front:
        raise TaskError(f"tune {name}", "no trial meets the constraints", "Relax them, or add trials.")
    best = max(front, key=lambda t: t.values[-1]) if search.objective == "both" else front[0]
    names = {"fid": f"val_fid_{plan.extractor}", "utility": f"val_{plan.task.primary_metric.name}"}
    objective = (
        [names[n] for n in ("fid", "utility")] if search.objective == "both" else [names[search.objective]]
    )
    about: dict[str, Any] = {
        "generators": {name: dict(_row(search, FixedTrial(best.params)).params)},
        "found": {
            "objective": ", ".join(objective),
            "value": best.values[-1],
            "trial": best.number,
            "trials": len(study.trials),
            "task": plan.task.name,
            "profile": plan.profile_name,
            "source": plan.source,
            "scenario": plan.chosen,
            "settings": dict(plan.settings),
            "protocol": plan.protocol_hash,
        },
    }
    if search.objective == "both":
        about["found"]["pareto"] = [
            {"trial": t.number, "values": list(t.values), "params": dict(t.params)} for t in front
        ]
    refuse_foreign_files([path], path, f"objective: {OBJECTIVE}")
    write_text(path, yaml.safe_dump(about, sort_keys=True))
    return path


def _row(search: Search, trial: Any) -> Row:
    return searched_row(search.plan, search.plugin, suggested(search.plugin, trial))
