"""The MLflow run of a benchmark run: in which experiment it is, and whether it continues a given one."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from benchmark.errors import TrackingError
from benchmark.experiments.mlflow_errors import retried

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

UNSET_RUN = "Unset MLFLOW_RUN_ID, or set it to a new run."
IDENTITY = ("protocol", "stage", "source", "profile")  # tags that two runs share to be one


def experiment_id(client: "MlflowClient", default: str) -> str:
    """Return the experiment of MLFLOW_EXPERIMENT_ID or MLFLOW_EXPERIMENT_NAME, or the default one, created.

    Raises:
        TrackingError: it is deleted, it is not there, or id and name disagree.
    """
    wanted, name = os.environ.get("MLFLOW_EXPERIMENT_ID"), os.environ.get("MLFLOW_EXPERIMENT_NAME")
    if wanted:
        known = _get(lambda: client.get_experiment(wanted), f"MLFLOW_EXPERIMENT_ID {wanted}", "experiment")
        if name and known.name != name:
            problem = f"is experiment '{known.name}', and MLFLOW_EXPERIMENT_NAME is '{name}'"
            raise TrackingError(f"MLFLOW_EXPERIMENT_ID {wanted}", problem, "Set one of them.")
    else:
        known = retried(lambda: _named(client, name or default))
    if known.lifecycle_stage != "active":
        raise TrackingError(
            f"experiment '{known.name}'",
            "was deleted in MLflow",
            f"Restore it with `mlflow experiments restore --experiment-id {known.experiment_id}`,"
            " or set MLFLOW_EXPERIMENT_NAME to another name.",
        )
    return str(known.experiment_id)


def _named(client: "MlflowClient", name: str) -> Any:
    """Return an experiment by its name; it is created unless it is there, even if deleted."""
    known = client.get_experiment_by_name(name)
    return known or client.get_experiment(client.create_experiment(name))


def given_run(client: "MlflowClient", run_id: str) -> "Run":
    """Return the run of MLFLOW_RUN_ID.

    Raises:
        TrackingError: it is deleted or not there, or is not in the experiment of MLFLOW_EXPERIMENT_ID.
    """
    where, experiment = f"MLFLOW_RUN_ID {run_id}", os.environ.get("MLFLOW_EXPERIMENT_ID")
    run: Run = _get(lambda: client.get_run(run_id), where, "run")
    if run.info.lifecycle_stage != "active":
        raise TrackingError(where, "was deleted in MLflow", UNSET_RUN)
    if experiment and run.info.experiment_id != experiment:
        problem = f"is in experiment {run.info.experiment_id}, and MLFLOW_EXPERIMENT_ID is {experiment}"
        raise TrackingError(where, problem, "Unset one of them.")
    return run


def require_agreement(run: "Run", tags: Mapping[str, str], params: Mapping[str, Any]) -> None:
    """Refuse to continue a run of another protocol, or one with other parameters.

    ``mlflow run`` logs the options as they were given: ``auto`` and an empty value agree with every choice.

    Raises:
        TrackingError: it is another run.
    """
    logged, tagged = run.data.params, run.data.tags
    differing = [
        (name, logged[name], str(value))
        for name, value in params.items()
        if logged.get(name, "").strip("'") not in ("", "auto", str(value))  # quoted for a shell
    ]
    differing += [(n, tagged[n][:12], tags[n][:12]) for n in IDENTITY if n in tagged and tagged[n] != tags[n]]
    if differing:
        name, theirs, ours = differing[0]
        problem = f"has {name} {theirs[:60]}, and this run has {ours[:60]}"
        raise TrackingError(f"MLFLOW_RUN_ID {run.info.run_id}", problem, UNSET_RUN)


def _get(call: Any, where: str, noun: str) -> Any:
    from mlflow.exceptions import MlflowException

    try:
        return retried(call)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        name = where.split()[0]
        problem, remedy = f"is no {noun} of this tracking store", f"Unset {name}, or set MLFLOW_TRACKING_URI."
        raise TrackingError(where, problem, remedy) from error
