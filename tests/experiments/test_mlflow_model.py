"""A fitted generator as a model of MLflow: logged, registered, and drawn from without the store."""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
import subprocess
import sys

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from PIL import Image

from benchmark.errors import GeneratorError, TrackingError
from benchmark.experiments.mlflow_model import Sampler, log_model, model_arguments, save_model
from support.fitted_rows import fitted_row


def png(pixels: np.ndarray) -> str:
    """Return a picture as text."""
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, "PNG")
    return base64.b64encode(sink.getvalue()).decode()


def test_the_model_is_logged_registered_and_loaded(tracking_file, tmp_path, monkeypatch):
    """It is a model of the run, has the columns of the generator, and draws the row's own images after the
    images of the source are gone; a record of the wrong type is refused by the signature."""
    row = fitted_row(tmp_path)
    own = row.draw("b", 3)
    client = mlflow.MlflowClient()
    run_id = client.create_run("0").info.run_id
    with model_arguments(row, {"task": "t"}) as arguments:
        uri = log_model("recorder", run_id, "thorax", arguments)
        with pytest.raises(TrackingError, match="MLflow run 0123: is not in this tracking store"):
            log_model("recorder", "0123", None, arguments)
    shutil.rmtree(tmp_path / "data")
    (version,) = client.search_model_versions("name = 'thorax'")
    assert version.run_id == run_id
    (logged,) = client.search_logged_models(["0"])
    assert (logged.name, logged.source_run_id) == ("recorder", run_id)
    model = mlflow.pyfunc.load_model(uri)
    assert model.metadata.get_input_schema().input_names() == ["label", "seed"]
    records = pd.DataFrame({"label": ["b", "a", "b", "b"]})
    assert np.array_equal(model.predict(records)[[0, 2, 3]], own.image)
    with pytest.raises(MlflowException, match="label"):
        model.predict(pd.DataFrame({"label": [1.5]}))


def test_conditions_and_seeds_are_columns(tmp_path):
    """A mask as a PNG, labels as a list, a seed a record; a value for some records alone is refused."""
    row = fitted_row(tmp_path, ("label", "labels", "mask"), "mask=request.mask, labels=request.labels")
    mask = np.zeros((16, 16), np.uint8)
    mask[4:] = 255
    columns = {"label": ["a", "a"], "mask": [png(mask)] * 2, "labels": ["a, c", "b"], "seed": [5, None]}
    drawn = Sampler(row).predict(pd.DataFrame(columns))
    given = {"mask": [mask], "labels": [[1, 0, 1]]}
    assert np.array_equal(drawn[0], row.draw("a", 1, given, 5).image[0])
    assert np.array_equal(drawn[1], row.draw("a", 1, {**given, "labels": [[0, 1, 0]]}).image[0])
    with pytest.raises(GeneratorError, match="has mask for 1 of 2 records"):
        Sampler(row).predict(pd.DataFrame(columns | {"mask": [png(mask), None]}))


@pytest.mark.slow
def test_mlflow_models_predict_draws(tmp_path):
    """The command of MLflow prints the images of the row as JSON, by the code that the model carries."""
    row = fitted_row(tmp_path)
    with model_arguments(row, {}) as arguments:
        save_model(tmp_path / "model", arguments)
    (tmp_path / "in.json").write_text(json.dumps({"dataframe_records": [{"label": "c", "seed": 4}]}))
    words = ["models", "predict", "-m", "model", "-i", "in.json", "-o", "out.json", "--env-manager", "local"]
    environment = {**os.environ, "PYTHONPATH": "model/code"}  # the suite's code in the model
    subprocess.run([sys.executable, "-m", "mlflow", *words], cwd=tmp_path, env=environment, check=True)
    (image,) = json.loads((tmp_path / "out.json").read_text())["predictions"]
    assert np.array_equal(image, row.draw("c", 1, seed=4).image[0])
