"""A fitted generator as an MLflow model, which ``mlflow models predict`` and ``load_model`` draw from."""

from __future__ import annotations

import base64
import io
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import requires
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import benchmark
from benchmark.errors import GeneratorError, TrackingError
from benchmark.experiments.fitted_row import FittedRow
from benchmark.experiments.mlflow_errors import tracking_errors
from benchmark.experiments.portable_row import read_row, write_row
from benchmark.experiments.tracking_store import prepare, tracking_uri
from benchmark.stages.requests import drawn_from_train
from benchmark.utils.files import atomic_folder

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.models.signature import ModelSignature

NUMBERS = {"age": "double"}  # types of inputs; the others are text: a mask is a PNG in base64, labels a list
LOADER = "benchmark.experiments.mlflow_model"


class Sampler:
    """The model as MLflow calls it: a record per image, with a label, conditions and a seed."""

    def __init__(self, row: FittedRow) -> None:
        self.row = row

    def predict(self, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> np.ndarray:
        """Return (N, S, S) uint8 images.

        Args:
            params: ``device``, ``cpu`` or ``cuda``; empty for that of the run.
        Raises:
            GeneratorError: a label or condition is unknown, or given for some records alone.
        """
        row = replace(self.row, device=(params or {}).get("device") or self.row.device)
        given = {}
        for name in sorted(self.row.conditions & {*model_input.columns}):
            missing = model_input[name].isna()
            if missing.all():
                continue
            if missing.any():
                problem = f"has {name} for {int((~missing).sum())} of {len(missing)} records"
                raise GeneratorError(f"row '{self.row.name}'", problem, "Give it for all, or for none.")
            given[name] = [self._value(name, value) for value in model_input[name]]
        seeds: list[int | None] = [None] * len(model_input)
        if "seed" in model_input:
            seeds = [None if value != value or value is None else int(value) for value in model_input["seed"]]
        return row.draw_each([str(label) for label in model_input["label"]], given, seeds)

    def _value(self, name: str, value: Any) -> Any:
        """Return a condition from the text of a record."""
        if name == "mask":
            from PIL import Image

            with Image.open(io.BytesIO(base64.b64decode(value))) as opened:
                return np.asarray(opened.convert("L"))
        if name == "labels":
            names = [part.strip() for part in str(value).split(",")]
            return [int(known in names) for known in self.row.learned.classes]
        return value


def _load_pyfunc(path: str) -> Sampler:
    """Return the model of a folder; MLflow calls it by this name."""
    return Sampler(read_row(Path(path)))


def signature(row: FittedRow) -> ModelSignature:
    """Return the columns that the model reads, and the images that it returns."""
    from mlflow.models.signature import ModelSignature
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema, TensorSpec

    config = row.fits[row.labels[0]].config
    columns: list[Any] = [ColSpec("string", "label")]
    columns += [
        ColSpec(NUMBERS.get(name, "string"), name, required=drawn_from_train(name, config.requests))
        for name in sorted(row.conditions)
    ]
    columns.append(ColSpec("long", "seed", required=False))
    side = config.image_size
    return ModelSignature(
        Schema(columns),
        Schema([TensorSpec(np.dtype(np.uint8), (-1, side, side), "image")]),
        ParamSchema([ParamSpec("device", "string", "")]),
    )


def example(row: FittedRow) -> pd.DataFrame | None:
    """Return a record that the model takes; None where it needs more than a label."""
    import pandas as pd

    rules = row.fits[row.labels[0]].config.requests
    if any(drawn_from_train(name, rules) for name in row.conditions):
        return None
    return pd.DataFrame({"label": [row.labels[0]], "seed": [0]})


@contextmanager
def model_arguments(row: FittedRow, about: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the arguments by which MLflow saves or logs the model: no pickle, and the code of the suite.

    Args:
        about: metadata of the model.
    """
    with tempfile.TemporaryDirectory(prefix="synththorax-model-") as scratch:
        data = Path(scratch) / "row"
        data.mkdir()
        write_row(row, data)
        yield {
            "loader_module": LOADER,
            "data_path": str(data),
            "code_paths": [str(Path(benchmark.__file__).parent)],
            "pip_requirements": requirements(),
            "signature": signature(row),
            "input_example": example(row),
            "metadata": dict(about),
        }


def save_model(out: Path, arguments: Mapping[str, Any]) -> None:
    """Write the model to a folder."""
    import mlflow.pyfunc

    with atomic_folder(out) as part:
        mlflow.pyfunc.save_model(path=str(part), **arguments)


def log_model(name: str, run_id: str, register: str | None, arguments: Mapping[str, Any]) -> str:
    """Log the model in a run, and register it if it gets a name there; return its URI.

    Raises:
        TrackingError: the tracking store cannot be used, or does not have the run.
    """
    import mlflow
    import mlflow.pyfunc
    from mlflow.models import Model

    uri, before = tracking_uri(), mlflow.get_tracking_uri()
    with tracking_errors(uri):
        prepare(uri)
        _require_run(mlflow.MlflowClient(uri), run_id)
        mlflow.set_tracking_uri(uri)
        try:
            known = Model.log(None, mlflow.pyfunc, register, run_id=run_id, name=name, **arguments)
        finally:
            mlflow.set_tracking_uri(before)
    return str(known.model_uri)


def _require_run(client: Any, run_id: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.get_run(run_id)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        remedy = "The folder is written; to log it, set MLFLOW_TRACKING_URI to the store of the run."
        raise TrackingError(f"MLflow run {run_id}", "is not in this tracking store", remedy) from None


def requirements() -> list[str]:
    """Return the packages that drawing needs: those of the suite, as it was installed."""
    return [text for text in requires("synththorax") or [] if "extra ==" not in text]
