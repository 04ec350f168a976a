"""A fitted generator without a run: one whose images show the mask and the labels that it got."""

from __future__ import annotations

from pathlib import Path

from benchmark.experiments.fitted_row import FittedRow
from benchmark.stages.job import DATA, GENERATOR
from benchmark.stages.sample import SampleConfig, fits_of
from benchmark.tasks.rules import Mix
from support.generator_jobs import Jobs, small_splits


def fitted_row(root: Path, conditions: tuple[str, ...] = ("label",), extra: str = "") -> FittedRow:
    """Return a row fitted to three classes at 16 px; chunks hold four images.

    Args:
        extra: further arguments of the generator's samples, as code.
    """
    jobs = Jobs(root, small_splits(), conditions=conditions, whole=False, extra=extra)
    folder, _ = jobs.fit("fit", conditions=("label",))
    fits = {}
    for label in jobs.splits.train.classes:
        config = SampleConfig(**jobs.shared, of_class=label, bracket=9, mix=Mix(), image_size=16)
        fits[label] = fits_of(jobs.job("draw", config, {DATA: [root / "data"], GENERATOR: [folder]}))
    return FittedRow("recorder", fits)
