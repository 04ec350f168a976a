"""A fitted generator, from the folder of a run: draw images of any label, mask or prompt that it takes."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.engine.sandbox.level import warn_if_exposed
from benchmark.errors import GeneratorError, StoreError, unknown_name
from benchmark.experiments.run_record import Drawing, RowRecord, read_record, result_folders
from benchmark.images.decoding import resized
from benchmark.images.image_set import ImageSet
from benchmark.stages.drawing import Fits, Given, Learned, draw
from benchmark.stages.job import Job
from benchmark.stages.plugin import PluginReference
from benchmark.stages.sample import fits_of
from benchmark.utils.training_state import as_in_a_worker

AS_NUMBERS = {"age": np.float64, "labels": np.uint8, "mask": np.uint8}  # types of given columns; others: text


@dataclass(frozen=True)
class FittedRow:
    """The fits of one fit seed and fold.

    Attributes:
        name: of the row.
        fits: by class; without folders for a class that was not fitted.
        device: of drawing; None for that of the run.
    """

    name: str
    fits: Mapping[str, Fits]
    device: str | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes that can be drawn."""
        return tuple(label for label, fits in self.fits.items() if fits.folders)

    @property
    def fit_seed(self) -> int:
        """Seed of the fits, and of drawing the run's images."""
        return next(iter(self.fits.values())).seed

    @property
    def conditions(self) -> frozenset[str]:
        """The conditions that can be given beside a label."""
        return frozenset(next(iter(self.fits.values())).config.conditions) - {"label"}

    @property
    def reads_label(self) -> bool:
        """False where a prompt alone decides what is drawn."""
        config = next(iter(self.fits.values())).config
        return config.unit != "joint" or bool({"label", "labels"} & {*config.conditions})

    @cached_property
    def learned(self) -> Learned:
        """Classes, size and images that the fits learned from."""
        fits = self.fits[self.labels[0]]
        return fits.learned(fits.folders[0])

    def draw(
        self, label: str, count: int, given: Mapping[str, Any] | None = None, seed: int | None = None
    ) -> ImageSet:
        """Draw images of a label; without further arguments they are the first images of the run.

        Args:
            given: values of conditions, each a sequence that the images take in turn.
            seed: in place of the fit's.
        Raises:
            UnknownNameError: no such label.
            GeneratorError: the generator does not take a condition, or fails.
        """
        if label not in self.labels:
            raise unknown_name("label", label, list(self.labels), f"row '{self.name}'")
        fits = self.fits[label]
        config = fits.config.model_copy(update=self.machine())
        columns = self.columns(given or {})
        with as_in_a_worker(), tempfile.TemporaryDirectory(prefix="synththorax-sample-") as scratch:
            own = replace(fits, config=config, work=Path(scratch), seed=fits.seed if seed is None else seed)
            drawn = draw(own, count, columns)
            assert drawn is not None
            mask = None if drawn.mask is None else np.array(drawn.mask[:])
            return replace(drawn, image=np.array(drawn.image[:]), mask=mask)  # the scratch folder goes

    def machine(self) -> dict[str, str]:
        """Return the changes of a drawing's configuration for this machine.

        Raises:
            GeneratorError: the device is CUDA, and there is none here.
        """
        own = next(iter(self.fits.values())).config.device
        return {"device": _usable(self.device or own)}

    def at_own_size(self, masks: np.ndarray) -> np.ndarray:
        """Return (N, S, S) masks at the size of the drawn images, 0 or 255."""
        size = next(iter(self.fits.values())).config.image_size
        return np.where(resized(masks, size) > 127, 255, 0).astype(np.uint8)

    def draw_each(
        self,
        labels: Sequence[str],
        given: Mapping[str, Sequence[Any]] | None = None,
        seeds: Sequence[int | None] | None = None,
    ) -> np.ndarray:
        """Return (N, S, S) uint8 images, one for each label, value of a condition, and seed.

        Images of one label and seed are numbered in their order, as in a run.
        """
        keys = list(zip(labels, seeds or [None] * len(labels), strict=True))
        images: np.ndarray | None = None
        for label, seed in dict.fromkeys(keys):
            rows = [i for i, key in enumerate(keys) if key == (label, seed)]
            own = {name: [values[i] for i in rows] for name, values in (given or {}).items()}
            drawn = np.asarray(self.draw(label, len(rows), own, seed).image)
            images = np.empty((len(keys), *drawn.shape[1:]), np.uint8) if images is None else images
            images[rows] = drawn
        if images is None:
            raise GeneratorError(f"row '{self.name}'", "got no label", "Give at least one.")
        return images

    def columns(self, given: Mapping[str, Any]) -> Given:
        """Return given values as columns of a request.

        Raises:
            GeneratorError: the generator does not take one of them.
        """
        for name in given:
            if name not in self.conditions:
                takes = ", ".join(["label", *sorted(self.conditions)])
                problem = f"does not take a condition '{name}'"
                raise GeneratorError(f"row '{self.name}'", problem, f"It takes: {takes}.")
        columns = {name: np.asarray(v, AS_NUMBERS.get(name)) for name, v in given.items() if name != "mask"}
        if "labels" in given and columns["labels"].shape[1:] != (len(self.learned.classes),):
            remedy = f"Give 0 or 1 for each of: {', '.join(self.learned.classes)}."
            raise GeneratorError(f"row '{self.name}'", "labels are not one value per class", remedy)
        if "mask" in given:
            masks = [resized(np.asarray(m, np.uint8)[None], self.learned.size)[0] for m in given["mask"]]
            columns["mask"] = np.where(np.stack(masks) > 127, 255, 0).astype(np.uint8)
        return columns


def open_row(
    run: Path, row: str, *, fit_seed: int | None = None, fold: int = 0, device: str | None = None
) -> FittedRow:
    """Return the fitted generator of a row.

    Args:
        run: output folder of a run.
        fit_seed: of several; None for the first.
    Raises:
        StoreError: no run, or its results are gone.
        UnknownNameError: no such row, fit seed or fold.
        GeneratorError: the row failed or has no generator, or its file has changed.
    """
    record, where = read_record(run), f"--run {run}"
    if row not in record.rows:
        raise unknown_name("row", row, list(record.rows), where)
    about = record.rows[row]
    if not about.drawings:
        problem = f"failed: {about.error}" if about.error else "adds no images, so that nothing was fitted"
        raise GeneratorError(f"row '{row}'", problem, f"Rows with a generator: {_with_fits(record.rows)}.")
    seeds = list(dict.fromkeys(drawing.fit_seed for drawing in about.drawings))
    seed = seeds[0] if fit_seed is None else fit_seed
    own = [d for d in about.drawings if (d.fit_seed, d.fold) == (seed, fold)]
    if not own:
        kind, name = ("fold", fold) if seed in seeds else ("fit seed", seed)
        known = {d.fold for d in about.drawings} if seed in seeds else {*seeds}
        raise unknown_name(kind, str(name), [str(k) for k in sorted(known)], f"row '{row}'")
    reference = PluginReference.model_validate(own[0].config["plugin"])
    _require_same_code(reference, row)
    if not reference.trusted:
        warn_if_exposed()
    try:
        fits = {str(d.config["of_class"]): _fits(d, row, result_folders(record, d.inputs)) for d in own}
    except StoreError:
        if about.error is None:
            raise
        remedy = "Run the same command again when the cause is removed."
        raise GeneratorError(f"row '{row}'", f"failed: {about.error}", remedy) from None
    return FittedRow(row, fits, device)


def _fits(drawing: Drawing, row: str, folders: dict[str, tuple[Path, ...]]) -> Fits:
    return fits_of(Job(drawing.node(row), folders, Path(), Path()))


def _with_fits(rows: Mapping[str, RowRecord]) -> str:
    return ", ".join(name for name, about in rows.items() if about.drawings) or "none"


def _require_same_code(reference: PluginReference, row: str) -> None:
    """Refuse to load a fit by another version of its generator's code.

    Raises:
        GeneratorError: names both versions.
    """
    where, remedy = f"row '{row}'", "Run the same command again, which fits it anew."
    if reference.origin == "file":
        path = Path(reference.target)
        if not path.is_file():
            raise GeneratorError(where, f"its file {path} is gone", "Put it back.")
        if not reference.version.endswith("+" + hashlib.sha256(path.read_bytes()).hexdigest()[:16]):
            raise GeneratorError(where, f"its file {path} has changed since the fit", remedy)
    elif reference.trusted:
        version = reference.plugin.own_version(reference.plugin.load())
        if version != reference.version:
            problem = f"was fitted by version {reference.version} of its generator, this is {version}"
            raise GeneratorError(where, problem, remedy)


def _usable(device: str) -> str:
    """Return the device.

    Raises:
        GeneratorError: the run used CUDA, and there is none here.
    """
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        remedy = "Give the device cpu; the images then differ from the run's in their last digits."
        raise GeneratorError("device", "of the run is cuda, and torch finds no CUDA device here", remedy)
    return device
