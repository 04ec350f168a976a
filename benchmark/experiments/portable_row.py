"""A fitted generator as one folder, which needs neither the store nor any image of the source."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from benchmark.errors import StoreError
from benchmark.experiments.fitted_row import FittedRow
from benchmark.stages.drawing import DrawingConfig, Fits, Learned
from benchmark.stages.fit import FITTED
from benchmark.tasks.classifier import ClassifierConfig
from benchmark.utils.files import write_json

RECORD = "row.json"
FITS, ASSETS, GUIDE = "fits", "assets", "guide"  # folders


class PortableRow(BaseModel, extra="forbid", frozen=True):
    """The content of ``row.json``; every path is relative to its folder.

    Attributes:
        configs: of drawing, by class.
        fits: folders of the fits, by class.
        classes, size: of the images that the fits learned from.
        guide: shape of ``context.classifier``.
    """

    row: str
    fit_seed: int
    configs: dict[str, dict[str, Any]]
    fits: dict[str, tuple[str, ...]]
    classes: tuple[str, ...]
    size: int
    guide: dict[str, Any] | None = None


def write_row(row: FittedRow, folder: Path) -> None:
    """Copy everything that drawing needs: fits, base checkpoints, a generator's file, a classifier."""
    fits, names = row.fits[row.labels[0]], {}
    config, guide = fits.config, fits.guide
    for number, own in enumerate(dict.fromkeys(f for each in row.fits.values() for f in each.folders)):
        names[own] = str(number)
        shutil.copytree(own / FITTED, folder / FITS / str(number) / FITTED)
    for number, asset in enumerate(config.assets):
        for name, path in asset.known_files().items():
            (folder / ASSETS / str(number) / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / ASSETS / str(number) / name)
    if config.plugin.origin == "file":
        shutil.copyfile(config.plugin.target, folder / Path(config.plugin.target).name)
    if guide is not None:
        (folder / GUIDE).mkdir()
        for path in guide[0].glob("network.*"):
            shutil.copyfile(path, folder / GUIDE / path.name)
    record = PortableRow(
        row=row.name,
        fit_seed=row.fit_seed,
        configs={label: _plain(row.fits[label].config) for label in row.labels},
        fits={label: tuple(names[f] for f in row.fits[label].folders) for label in row.labels},
        classes=row.learned.classes,
        size=row.learned.size,
        guide=None if guide is None else guide[2],
    )
    write_json(folder / RECORD, record.model_dump(mode="json"))


def _plain(config: DrawingConfig) -> dict[str, Any]:
    """Return the configuration of drawing, with relative paths."""
    record = {name: value for name, value in config.model_dump(mode="json").items() if name in _FIELDS}
    target = config.plugin.target
    record["plugin"]["target"] = Path(target).name if config.plugin.origin == "file" else target
    for number, asset in enumerate(record["assets"]):
        asset["folder"] = f"{ASSETS}/{number}"
    return record


_FIELDS = frozenset(DrawingConfig.model_fields)  # without those of ``SampleConfig``


def read_row(folder: Path, device: str | None = None) -> FittedRow:
    """Read what ``write_row`` wrote.

    Raises:
        StoreError: it is not such a folder.
    """
    try:
        record = PortableRow.model_validate_json((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StoreError(str(folder), f"holds no fitted generator: {error}", "Export it again.") from None
    learned = Learned(record.classes, record.size, None)
    fits = {}
    for label, plain in record.configs.items():
        if plain["plugin"]["origin"] == "file":
            plain["plugin"]["target"] = str(folder.resolve() / plain["plugin"]["target"])
        for asset in plain["assets"]:
            asset["folder"] = folder.resolve() / asset["folder"]
        config = DrawingConfig.model_validate(plain)
        guide = None
        if record.guide is not None and isinstance(config.classifier, ClassifierConfig):
            guide = (folder / GUIDE, config.classifier, record.guide)
        folders = [folder / FITS / name for name in record.fits[label]]
        fits[label] = Fits(record.row, record.fit_seed, config, folders, lambda _: learned, Path(), guide)
    return FittedRow(record.row, fits, device)
