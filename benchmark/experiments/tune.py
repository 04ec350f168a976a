"""The only file that talks to Optuna: search a generator's parameters. It is never handed the test split."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from benchmark.engine.node import Node, keys, needed, without_fold
from benchmark.engine.runner import execute
from benchmark.engine.store import Store
from benchmark.errors import BenchmarkError, TaskError
from benchmark.experiments.mlflow_tracker import Tracker
from benchmark.planning.graph import build
from benchmark.planning.plan import Plan, Row
from benchmark.planning.resolve import RunRequest, generator_row, make_plan, store_root
from benchmark.plugins.registry import Plugin, find
from benchmark.stages import Job, fit
from benchmark.stages import run as run_stage
from benchmark.stages.names import REAL_ONLY
from benchmark.tasks.profile import GeneratorEntry

if TYPE_CHECKING:
    import optuna

HEARTBEAT_SECONDS = 30


class Pruned(Exception):
    """The pruner gave this trial up."""


def tune(request: RunRequest, generator: str, *, trials: int, seed: int, study_file: Path, out: Path) -> Path:
    """Search the generator's own space; the objective is its best preview FID against ``val``.

    A study that is there already goes on: ``trials`` counts the finished ones too, and a trial whose process
    was killed is run again.

    Args:
        wish: task, profile, source; its generators are not used.
        generator: name, or path of a file.
        trials: in all.
        seed: of the sampler.
        study_file: SQLite file of the study.
        out: folder for ``best_params.yaml``.
    Returns:
        Path of ``best_params.yaml``, which ``run --params`` accepts.
    Raises:
        TaskError: the generator has no search space, or no trial succeeded.
    """
    plugin = find("generators", [generator])[0]
    module = plugin.load()
    if not hasattr(module, "search_space"):
        raise TaskError(
            f"generator '{plugin.name}'", "has no search_space(trial)", "There is nothing to tune."
        )
    plan = make_plan(replace(request, generators=(generator,)), stages=("fit",))
    entry = plan.profile.generators.get(plugin.name, GeneratorEntry())
    study = _study(study_file, f"{plan.task.name}/{plan.profile_name}/{plan.source}/{plugin.name}", seed)
    search = _Search(plan, plugin, entry, Store(store_root()), study)
    left = trials - len(_finished(study))
    if left > 0:
        study.optimize(search.objective, n_trials=left, callbacks=[search.log])
    search.tracker.close("FINISHED", search.seconds())
    return _write_best(study, plan, plugin, entry, out)


def _study(file: Path, name: str, seed: int) -> optuna.Study:
    import optuna
    from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        storage = RDBStorage(
            f"sqlite:///{file}",
            heartbeat_interval=HEARTBEAT_SECONDS,
            grace_period=2 * HEARTBEAT_SECONDS,
            heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(max_retry=2),
        )
        return optuna.create_study(
            storage=storage,
            study_name=name,
            load_if_exists=True,
            direction="minimize",
            sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=5),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=1),
        )
    except Exception as error:  # SQLAlchemy and SQLite each raise their own
        raise TaskError(f"study {file}", str(error).splitlines()[0], "Give another --study file.") from error


def _finished(study: optuna.Study) -> list[Any]:
    from optuna.trial import TrialState

    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL))


class _Search:
    """The objective: one fit per trial, reported to pruner and tracker as it goes."""

    def __init__(
        self, plan: Plan, plugin: Plugin, entry: GeneratorEntry, store: Store, study: optuna.Study
    ) -> None:
        self.plan, self.plugin, self.entry, self.store, self.study = plan, plugin, entry, store, study
        self.module, self.began = plugin.load(), time.monotonic()
        self.tracker = Tracker(plan, "tune", {})
        self.inputs = self._without_test()
        self.history: list[dict[str, float]] = []

    def seconds(self) -> float:
        """Wall seconds since the search began."""
        return time.monotonic() - self.began

    def _without_test(self) -> dict[str, Path]:
        """What a fit needs; of the data train and val alone: the search cannot read test."""
        *before, node = self._nodes(generator_row(self.plugin, self.entry, {}))
        outcome = execute(before, self.store, run_stage, workers=1)
        for line in outcome.failures.values():
            raise BenchmarkError("", line)
        inputs = {need: outcome.results[need].folder for need in node.needs}
        data = next(need for need in node.needs if without_fold(need) == "data")
        folder = self.store.work(f"tune-{keys(before)[data]}")
        for name in ("train.arrow", "val.arrow"):
            shutil.copyfile(inputs[data] / name, folder / name)
        return {**inputs, data: folder}

    def objective(self, trial: optuna.Trial) -> float:
        """Best preview FID on ``val`` of one set of parameters."""
        import optuna

        row = generator_row(self.plugin, self.entry, self.module.search_space(trial))
        nodes = self._nodes(row)
        node = nodes[-1]
        key = f"trial-{keys(nodes)[node.id]}"
        self.history, shown = [], 0

        def asks_to_stop(step: int, fid: float) -> bool:
            nonlocal shown
            trial.report(fid, shown)
            shown += 1
            self.history.append({"step": float(step), "val_fid": fid})
            if trial.should_prune():
                raise Pruned
            return False

        job = Job(node, self.inputs, self.store.begin(key), self.store.work(key))
        try:
            said = fit(job, asks_to_stop)
        except Pruned:
            raise optuna.TrialPruned from None
        except BenchmarkError as error:
            if isinstance(error.__cause__, Pruned):
                raise optuna.TrialPruned from None
            trial.set_user_attr("error", str(error))
            return float("nan")  # Optuna counts the trial as failed and goes on
        chosen = [part["chosen"][f"val_fid_{self.plan.extractor}"] for part in said.values()]
        return float(sum(chosen) / len(chosen))

    def _nodes(self, row: Row) -> list[Node]:
        """The fit of a row in the first fold, after all that it needs."""
        judging = [r for r in self.plan.rows if r.name == REAL_ONLY]
        nodes = build(replace(self.plan, rows=(*judging, row)))
        return needed((n for n in nodes if n.fold == 0), {"fit"})

    def log(self, study: optuna.Study, trial: Any) -> None:
        """A nested run per trial, once it has ended."""
        self.tracker.trial(trial.number, trial.state.name, trial.params, trial.value, self.history)
        value = "-" if trial.value is None else f"{trial.value:.3f}"
        print(
            f"trial {trial.number}: {trial.state.name.lower()}, val FID {value}, {trial.params}", flush=True
        )


def _write_best(study: optuna.Study, plan: Plan, plugin: Plugin, entry: GeneratorEntry, out: Path) -> Path:
    from optuna.trial import FixedTrial, TrialState

    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if not done:
        failed = [t.user_attrs.get("error", "") for t in study.get_trials(deepcopy=False)]
        raise TaskError(
            f"tune {plugin.name}", "no trial succeeded", next(filter(None, failed), "Add trials.")
        )
    best = study.best_trial
    params = plugin.load().search_space(FixedTrial(best.params))
    row = generator_row(plugin, entry, params)
    about = {
        "generators": {plugin.name: dict(row.params)},
        "found": {
            "objective": f"val_fid_{plan.extractor}",
            "value": best.value,
            "trial": best.number,
            "trials": len(study.trials),
            "task": plan.task.name,
            "profile": plan.profile_name,
            "source": plan.source,
        },
    }
    path = out / "best_params.yaml"
    part = path.with_suffix(".part")
    part.write_text(yaml.safe_dump(about, sort_keys=True), encoding="utf-8")
    part.replace(path)
    return path
