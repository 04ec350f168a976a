"""A finished run: its tables, and its fitted generators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.api import tables
from benchmark.bundles.io import Bundle, read_bundles
from benchmark.comparison.records import Comparison
from benchmark.errors import StoreError
from benchmark.experiments.fitted_row import FittedRow, open_row
from benchmark.experiments.lesions.drawn_lesions import draw_lesions
from benchmark.experiments.lesions.lesion_request import LesionRequest
from benchmark.images.image_set import ImageSet
from benchmark.reporting.leaderboards.board import Board
from benchmark.reporting.leaderboards.publish import compare_bundles

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Run:
    """A finished run, by its output folder."""

    out: Path

    @cached_property
    def bundles(self) -> list[Bundle]:
        """The bundles of the rows."""
        return read_bundles(self.out / "bundles")

    @cached_property
    def comparison(self) -> Comparison:
        """Every interval, test and rank."""
        return compare_bundles(self.bundles)

    @property
    def failed(self) -> dict[str, str]:
        """The error of every row that failed."""
        return dict(self.comparison.failed)

    def leaderboard(self) -> pd.DataFrame:
        """Return a table of the rows, in the order of the board: rank among the candidates, primary metric,
        gains with intervals, image measures, copies and costs."""
        return tables.leaderboard(Board(self.bundles, self.comparison))

    def predictions(self, split: str = "test", bracket: int | None = None) -> pd.DataFrame:
        """Return a table of the scores of every image, training and row; ``compare`` reads it.

        Args:
            split: ``test``, or another test split of the task.
            bracket: synthetic images per class; default: the one that ranks. Rows without images have none.
        """
        return tables.predictions(self.bundles, split, bracket)

    def metrics(self) -> pd.DataFrame:
        """Return a table of every metric: of classification by row, split and bracket, and of the images."""
        return tables.metrics(self.bundles, self.comparison)

    def generator(self, row: str, fit_seed: int | None = None, fold: int = 0) -> FittedGenerator:
        """Return the fitted generator of a row.

        Raises:
            BenchmarkError: no such row, or it failed, or its fit is not in the store.
        """
        return FittedGenerator(open_row(self.out, row, fit_seed=fit_seed, fold=fold))


@dataclass(frozen=True)
class FittedGenerator:
    """A fitted generator."""

    row: FittedRow

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that it draws."""
        return self.row.labels

    @property
    def conditions(self) -> frozenset[str]:
        """The conditions that ``sample`` takes beside the labels."""
        return self.row.conditions

    def sample(
        self, labels: str | Sequence[str], seed: int | None = None, **conditions: Sequence[Any]
    ) -> np.ndarray:
        """Return (N, S, S) uint8 images, one for each label.

        Args:
            labels: of the images, or one label.
            seed: of the noise; default: the run's, which draws the run's first images of each label.
            conditions: a value for each image, such as ``mask`` or ``prompt``.
        Raises:
            BenchmarkError: an unknown label, or a condition that the generator does not take.
        """
        names = [labels] if isinstance(labels, str) else list(labels)
        return self.row.draw_each(names, conditions, [seed] * len(names))

    def sample_lesions(self, *lesions: LesionRequest, count: int = 1, seed: int | None = None) -> ImageSet:
        """Return images that all show the lesions, with the masks and sentences that they were drawn by.

        Raises:
            BenchmarkError: a finding, or an attribute of a lesion, that the generator cannot draw.
        """
        return draw_lesions(self.row, lesions, count, seed)


def open_run(out: Path | str) -> Run:
    """Return a run that has finished.

    Raises:
        StoreError: the folder is not that of a run.
    """
    if not (Path(out) / "bundles").is_dir():
        raise StoreError(str(out), "has no bundles", "Give the output folder of a run.")
    return Run(Path(out))
