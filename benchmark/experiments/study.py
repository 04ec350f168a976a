"""Optuna studies: where they are kept, their samplers, and trials whose worker was lost."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from benchmark.errors import TaskError
from benchmark.experiments.tracking_store import shown

if TYPE_CHECKING:
    import optuna

Direction = Literal["minimize", "maximize"]
HEARTBEAT_SECONDS = 30
RETRIES = 2
JOURNALS = (".journal", ".log")  # endings of files that several machines may append to
HISTORY, FAILED = "retry_history", "failed_trial"  # attributes of Optuna's own retry of a lost trial
ID = "synththorax_id"  # random; a study that was deleted and made again is another one


def open_study(where: str, name: str, directions: tuple[Direction, ...] = ("minimize",)) -> optuna.Study:
    """Open a study, and create it unless it is there.

    Args:
        where: SQLite file, journal file (``.journal``), or URL of a database.
    Raises:
        TaskError: it cannot be read or written.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        pruner = optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=1)
        study = optuna.create_study(
            storage=_storage(where),
            study_name=name,
            load_if_exists=True,
            directions=directions,
            pruner=pruner,
        )
        if ID not in study.user_attrs:
            study.set_user_attr(ID, f"{np.random.SeedSequence().entropy:x}")
    except Exception as error:  # SQLAlchemy, its drivers and SQLite each raise their own
        remedy = "Give another --study."
        if isinstance(error, ModuleNotFoundError):
            remedy = "pip install 'synththorax[team]' for PostgreSQL."
        raise TaskError(f"study {shown(where)}", str(error).splitlines()[0], remedy) from error
    return study


def _storage(where: str) -> Any:
    from optuna.exceptions import ExperimentalWarning
    from optuna.storages import JournalStorage, RDBStorage, RetryHeartbeatStaleTrialCallback
    from optuna.storages.journal import JournalFileBackend
    from sqlalchemy.engine import URL

    url = where
    if "://" not in where:
        Path(where).parent.mkdir(parents=True, exist_ok=True)
        if where.endswith(JOURNALS):
            return JournalStorage(JournalFileBackend(where))  # its lock is a symbolic link, which NFS has
        url = URL.create("sqlite", database=where).render_as_string()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # the heartbeat, since Optuna 2
        return RDBStorage(
            url,
            engine_kwargs={"pool_pre_ping": True},  # the server may have restarted
            heartbeat_interval=HEARTBEAT_SECONDS,
            grace_period=2 * HEARTBEAT_SECONDS,
            heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(max_retry=RETRIES),
        )


def other_studies(study: optuna.Study) -> list[str]:
    """Return the names of the other studies in the same place."""
    import optuna

    return [name for name in optuna.get_all_study_names(study._storage) if name != study.study_name]


def finished(study: optuna.Study) -> list[Any]:
    """Return the trials that have ended; not those whose worker was lost and that run again."""
    from optuna.trial import TrialState

    again = {n for t in study.get_trials(deepcopy=False) for n in t.system_attrs.get(HISTORY, ())}
    ended = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
    return [t for t in study.get_trials(deepcopy=False, states=ended) if t.number not in again]


def sampler(seed: int, trial: int, parallel: bool = False) -> optuna.samplers.TPESampler:
    """Return the sampler of one trial, seeded by its place, so that a search that goes on repeats none.

    Args:
        parallel: trials that run elsewhere count as bad ones, so that no two search at one place.
    """
    import optuna

    own = np.random.SeedSequence([seed, trial]).generate_state(1)[0]
    return optuna.samplers.TPESampler(seed=int(own), n_startup_trials=5, constant_liar=parallel)


def retry_lost(study: optuna.Study, number: int) -> None:
    """Queue a trial again whose worker was lost, unless a heartbeat has shown that already."""
    import optuna
    from optuna.trial import TrialState

    lost = next((t for t in study.get_trials(deepcopy=False) if t.number == number), None)
    if lost is None or lost.state != TrialState.RUNNING:
        return
    history = [*lost.system_attrs.get(HISTORY, ()), number]
    study.tell(number, state=TrialState.FAIL)
    fixed = {"fixed_params": dict(lost.params)} if lost.params else {}
    study.add_trial(
        optuna.create_trial(
            state=TrialState.WAITING,
            system_attrs={**lost.system_attrs, **fixed, FAILED: history[0], HISTORY: history},
        )
    )
