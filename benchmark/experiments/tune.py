"""The only file that talks to Optuna: search a generator's parameters. The test split is out of its reach."""

from __future__ import annotations

import shutil
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from benchmark.engine.claim import Claim
from benchmark.engine.node import Graph, Node
from benchmark.engine.runner import execute
from benchmark.engine.store import Store, store_root
from benchmark.engine.store_fault import store_is_blamed
from benchmark.errors import BenchmarkError, StoreError, TaskError
from benchmark.experiments.mlflow_tracker import Tracker
from benchmark.experiments.run import close_after, settings_part
from benchmark.planning.graph import build
from benchmark.planning.plan import Plan, Row
from benchmark.planning.rows import generator_row
from benchmark.plugins.registry import Plugin, find
from benchmark.stages import run as run_stage
from benchmark.stages.fit import FitConfig, fit
from benchmark.stages.fit_context import ShouldPrune
from benchmark.stages.foreign import facts, suggest
from benchmark.stages.job import DATA, Job, first_line
from benchmark.stages.records import REAL_ONLY, History
from benchmark.utils.files import write_text
from benchmark.utils.hashing import sha256_of
from benchmark.utils.outputs import refuse_foreign_files

if TYPE_CHECKING:
    import optuna

HEARTBEAT_SECONDS = 30
BEST, OBJECTIVE = "best_params.yaml", "val_fid_"  # and the extractor's name


class Pruned(Exception):
    """The pruner ended this trial."""


class Stopped(BaseException):
    """The search cannot go on; Optuna passes it on, and the trial counts as killed and runs again."""

    def __init__(self, reason: BaseException) -> None:
        super().__init__(reason)
        self.reason = reason


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


def tune(plan: Plan, plugin: Plugin, *, trials: int, seed: int, study_file: Path, out: Path) -> Path:
    """Search the generator's own space; the objective is its best preview FID against ``val``.

    An existing study continues as if it had not stopped: ``trials`` counts the finished ones too, and a
    trial whose process was killed runs again. Another protocol, other data and other code are another study.

    Args:
        plan: of the task with this generator as its last row.
        plugin: the generator; see ``tunable``.
        trials: in all.
        seed: of the sampler.
        study_file: SQLite file of the study.
        out: folder for ``best_params.yaml``.
    Returns:
        Path of ``best_params.yaml``, which ``run --params`` accepts.
    Raises:
        TaskError: no trial succeeded, or the search space raised an error.
        StoreError: ``best_params.yaml`` is there, and is not of a search.
    """
    refuse_foreign_files([out / BEST], out / BEST, f"objective: {OBJECTIVE}")
    study = _study(study_file, _identity(plan, plugin))
    search = _Search(plan, plugin, Store(store_root()))
    try:
        for _ in range(trials - len(_finished(study))):
            study.sampler = _sampler(seed, len(study.get_trials(deepcopy=False)))
            study.optimize(search.run, n_trials=1, callbacks=[search.log])
        search.tracker.close("FINISHED", time.monotonic() - search.began)
    except BaseException as fault:
        reason = fault.reason if isinstance(fault, Stopped) else fault
        close_after(reason, search.tracker, time.monotonic() - search.began)
        raise reason from None
    return _write_best(study, plan, plugin, out)


def _identity(plan: Plan, plugin: Plugin) -> str:
    """Return the name of a study: words, and a hash of protocol, data and code; the machine is left out."""
    anywhere = replace(plan, device="cuda", precision="float32")
    keys = sorted(_fits(anywhere, _row(plan, plugin, {})).keys.values())
    words = [plan.task.name, plan.profile_name, plan.source, plan.rows[-1].name, *settings_part(plan)]
    return "/".join([*words, sha256_of([plan.protocol_hash, keys, facts(plugin)[1]])[:16]])


def _sampler(seed: int, trial: int) -> optuna.samplers.TPESampler:
    """Return the sampler of one trial, seeded by its number, so that a search that goes on repeats none."""
    import optuna

    own = np.random.SeedSequence([seed, trial]).generate_state(1)[0]
    return optuna.samplers.TPESampler(seed=int(own), n_startup_trials=5)


def _study(file: Path, name: str) -> optuna.Study:
    import optuna
    from optuna.exceptions import ExperimentalWarning
    from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
    from sqlalchemy.engine import URL

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)  # the heartbeat, since Optuna 2
            storage = RDBStorage(
                URL.create("sqlite", database=str(file)).render_as_string(),
                heartbeat_interval=HEARTBEAT_SECONDS,
                grace_period=2 * HEARTBEAT_SECONDS,
                heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(max_retry=2),
            )
        known = optuna.get_all_study_names(storage)
        if known and name not in known:
            print(f"note: {file} holds a search with another protocol, data or code; this one is new")
        return optuna.create_study(
            storage=storage,
            study_name=name,
            load_if_exists=True,
            direction="minimize",
            pruner=optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=1),
        )
    except Exception as error:  # SQLAlchemy and SQLite each raise their own
        raise TaskError(f"study {file}", str(error).splitlines()[0], "Give another --study file.") from error


def _finished(study: optuna.Study) -> list[Any]:
    from optuna.trial import TrialState

    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL))


class _Search:
    """The objective: one fit per trial, reported to pruner and tracker."""

    def __init__(self, plan: Plan, plugin: Plugin, store: Store) -> None:
        self.plan, self.plugin, self.store = plan, plugin, store
        self.began = time.monotonic()
        self.tracker = Tracker(plan, "tune", Graph(()))
        self.inputs = self._inputs_without_test()
        self.history: History = []

    def _inputs_without_test(self) -> dict[str, tuple[Path, ...]]:
        """Compute the inputs of the fits; of the data train and val alone, so that no trial can read test."""
        graph = _fits(self.plan, _row(self.plan, self.plugin, {}))
        node = graph.find("fit")[0]
        needed = graph.needed(lambda n: n.id in node.needs)
        outcome = execute(needed, self.store, run_stage, workers=1, essential=lambda _: True)
        inputs = {role: tuple(outcome.results[i].folder for i in ids) for role, ids in node.inputs.items()}
        (data,), (folder,) = node.inputs[DATA], inputs[DATA]
        reduced = self.store.work(f"tune-{graph.keys[data]}")
        for name in ("train.arrow", "val.arrow"):
            shutil.copyfile(folder / name, reduced / name)
        return {**inputs, DATA: (reduced,)}

    def run(self, trial: optuna.Trial) -> float:
        """Return the objective; what stops the search passes Optuna by."""
        try:
            return self.objective(trial)
        except (KeyboardInterrupt, StoreError) as reason:
            raise Stopped(reason) from None

    def objective(self, trial: optuna.Trial) -> float:
        """Return the best preview FID of one set of parameters, the mean over the fits."""
        import optuna

        graph = _fits(self.plan, _row(self.plan, self.plugin, _suggested(self.plugin, trial)))
        self.history = []

        def should_prune(step: int, fid: float) -> bool:
            trial.report(fid, len(self.history))
            self.history.append({"step": float(step), "val_fid": fid})
            if trial.should_prune():
                raise Pruned
            return False

        try:
            chosen = [self._fit(node, graph.keys[node.id], should_prune) for node in graph.find("fit")]
        except Pruned:
            raise optuna.TrialPruned from None
        except StoreError:
            raise
        except BenchmarkError as error:
            if isinstance(error.__cause__, Pruned):
                raise optuna.TrialPruned from None
            trial.set_user_attr("error", str(error))
            return float("nan")  # Optuna counts the trial as failed and continues
        known = [fid for fid in chosen if fid is not None]
        return sum(known) / len(known)

    def _fit(self, node: Node, key: str, should_prune: ShouldPrune) -> float | None:
        """Return the best preview FID of one fit; None where nothing is to be fitted."""
        claim = self.store.claim("trial", key)
        assert isinstance(claim, Claim)  # no trial is committed
        job: Job[FitConfig] = Job(node, self.inputs, claim.out, claim.scratch)
        with claim.held(), store_is_blamed(self.store, claim.folder):
            result = fit(job, should_prune)
        claim.discard()
        return result.chosen.get(f"{OBJECTIVE}{self.plan.extractor}")

    def log(self, study: optuna.Study, trial: Any) -> None:
        """Log a trial that has ended as a nested run."""
        self.tracker.trial(trial.number, trial.state.name, trial.params, trial.value, self.history)
        value = "-" if trial.value is None else f"{trial.value:.3f}"
        print(
            f"trial {trial.number}: {trial.state.name.lower()}, val FID {value}, {trial.params}", flush=True
        )


def _row(plan: Plan, plugin: Plugin, params: dict[str, Any]) -> Row:
    """Return the searched row, the last of the plan, with other parameters."""
    searched = plan.rows[-1]
    return replace(generator_row(plugin, searched.entry, params), name=searched.name)


def _fits(plan: Plan, row: Row) -> Graph:
    """Return the fit of a row in the first fold, and all that it needs."""
    evaluating = [r for r in plan.rows if r.name == REAL_ONLY]
    graph = build(replace(plan, rows=(*evaluating, row)))
    first = row.fit_seeds(plan.profile)[0]
    return graph.needed(lambda node: node.stage == "fit" and node.fold == 0 and node.fit == first)


def _suggested(plugin: Plugin, trial: Any) -> dict[str, Any]:
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


def _write_best(study: optuna.Study, plan: Plan, plugin: Plugin, out: Path) -> Path:
    from optuna.trial import FixedTrial, TrialState

    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if not done:
        failed = [t.user_attrs.get("error", "") for t in study.get_trials(deepcopy=False)]
        raise TaskError(
            f"tune {plugin.name}", "no trial succeeded", next(filter(None, failed), "Add trials.")
        )
    best = study.best_trial
    row = _row(plan, plugin, _suggested(plugin, FixedTrial(best.params)))
    about = {
        "generators": {row.name: dict(row.params)},
        "found": {
            "objective": f"{OBJECTIVE}{plan.extractor}",
            "value": best.value,
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
    path = out / BEST
    refuse_foreign_files([path], path, f"objective: {OBJECTIVE}")
    write_text(path, yaml.safe_dump(about, sort_keys=True))
    return path
