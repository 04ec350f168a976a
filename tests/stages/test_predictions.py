"""Predictions of trainings as Parquet tables."""

import numpy as np
import pandas as pd
import pytest

from benchmark.engine.node import Node, StageConfig
from benchmark.images.image_set import ImageSet
from benchmark.stages import predictions


class Training(StageConfig, stage="classify", version="1"):
    """A training that is not run."""


@pytest.mark.parametrize(("fit", "run"), [(0, "gan/100/net/7"), (3, "gan/fit3/100/net/7")])
def test_a_prediction_names_the_fit_of_its_images(tmp_path, fit, run):
    """Each prediction has the seed of its fit beside that of its training."""
    node = Node("n", Training(), seed=7, fit=fit, row="gan", bracket=100, classifier="net")
    pixels, names = np.zeros((2, 4, 4), np.uint8), np.array(["p", "q"])
    images = ImageSet(pixels, np.array([0, 1]), ("a", "b"), names, names, names)
    predictions.write(tmp_path / "p", node, (), {"test": images}, {"test": np.full((2, 2), 0.5)})
    table = pd.read_parquet(tmp_path / "p")
    assert table[["fit", "seed", "run"]].drop_duplicates().to_numpy().tolist() == [[fit, 7, run]]
    assert node.tags.get("fit") == (str(fit) if fit else None)
