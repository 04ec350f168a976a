"""Build a dataset of shards from a source: in parallel, resumable, with the same bytes for any workers."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from benchmark.datasets import _hub_card as hub_card
from benchmark.engine.claim import sole_writer
from benchmark.errors import DataError
from benchmark.images import shards
from benchmark.images.image_set import ImageSet
from benchmark.plugins.registry import Plugin
from benchmark.utils.files import write_json, write_text
from benchmark.utils.hashing import canonical_json, sha256_file, sha256_of
from benchmark.utils.processes import worker_map

BUILD = "build.json"
Progress = Callable[[int, int], None]  # images that are written, all images


@dataclass(frozen=True)
class BuildConfig:
    """Everything that decides the bytes of a dataset, and the location of the source's files.

    Attributes:
        plugin: the source.
        version: of its code.
        fingerprint: of the files that it reads.
        params: its parameters as JSON, without paths; ``paths`` has these, and is not part of the identity.
        classes, image_size, reserve_per_class, seed: as ``images`` of a source takes them.
        limit: number of images at most, spread evenly over the source; None for all.
        shard_size: images per shard.
        format: ``shards`` of raw pixels, or ``datasets``: PNG, a file per split, and a card.
    """

    plugin: Plugin
    version: str
    fingerprint: str
    params: Mapping[str, Any]
    paths: Mapping[str, str]
    classes: tuple[str, ...]
    image_size: int
    reserve_per_class: int = 0
    seed: int = 0
    limit: int | None = None
    shard_size: int = 2048
    format: Literal["shards", "datasets"] = "shards"

    @property
    def file_format(self) -> str:
        """Name of the format in ``dataset.json``."""
        return shards.FORMAT if self.format == "shards" else shards.PICTURES

    def identity(self) -> dict[str, Any]:
        """Return what two builds must share to be mixed, as JSON."""
        fields = {k: v for k, v in asdict(self).items() if k not in ("plugin", "paths")}
        identity = {**fields, "source": self.plugin.name, "format": self.file_format}
        return dict(json.loads(canonical_json(identity)))

    def images(self) -> ImageSet:
        """Return the images of the source, lazily if it reads them so; ``datasets`` groups them by split."""
        module = self.plugin.load()
        listed: ImageSet = module.images(
            module.Params(**{**self.params, **self.paths}),
            classes=self.classes,
            image_size=self.image_size,
            reserve_per_class=self.reserve_per_class,
            seed=self.seed,
        )
        if self.limit is not None and self.limit < len(listed):
            listed = listed.select(np.arange(self.limit) * len(listed) // self.limit)
        if self.format == "shards" or listed.split is None:
            return listed
        names, first, part = np.unique(listed.split, return_index=True, return_inverse=True)
        return listed.select(np.argsort(first[part], kind="stable")) if len(names) > 1 else listed


def build(
    config: BuildConfig, out: Path, *, workers: int, progress: Progress = lambda done, total: None
) -> dict[str, Any]:
    """Build a dataset in a folder, or complete it.

    Shards that agree with their manifests are not written again. The folder counts as a dataset once
    ``dataset.json`` is written, which is last.

    Args:
        config: of the build.
        out: folder; it may contain an unfinished build of the same configuration.
        workers: processes, each with the table of the source in memory and one row group of pixels; a single
            worker is this process.
        progress: called with the images that are written and all images, after every shard.
    Returns:
        The content of ``dataset.json``.
    Raises:
        DataError: the folder contains something else, or the source cannot be read.
        StoreError: the folder cannot be written, the disk is full, or the system ended a worker.
    """
    check_folder(out)
    with shards.build_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    with sole_writer(out, ".build", str(out), "Wait for its end, stop it, or give another folder."):
        survey = _earlier_survey(config, out)
        if shards.is_store(out):
            return shards.describe(out)
        try:
            with worker_map(workers, where="data build") as each:
                if survey is None:  # all workers list the source now, and need the list for their shards
                    survey = next(each(_survey, [config] * workers))
                    with shards.build_errors(out):
                        write_json(out / BUILD, survey)
                records = _write_missing(partial(each, partial(_write, config)), survey, out, progress)
        finally:
            _listed.clear()
        about = {k: v for k, v in survey.items() if k != "parts"}
        if config.format == "datasets":
            with shards.build_errors(out):
                write_text(out / "README.md", hub_card.readme(survey, config.plugin.name))
        return shards.seal(out, {**about, "format": config.file_format}, records)


def check_folder(out: Path) -> None:
    """Refuse a folder that no build has begun, and that holds anything.

    Raises:
        DataError: names the first file.
    """
    if out.is_dir() and not (out / BUILD).is_file():
        present = sorted(p.name for p in out.iterdir() if not p.name.startswith("."))
        if present:
            problem = f"holds '{present[0]}', and no {BUILD} of an earlier build"
            raise DataError(str(out), problem, "Give an empty folder, or a new one.")


def _write_missing(
    write_all: Callable[[list[tuple[int, int, str]]], Iterator[dict[str, Any]]],
    survey: Mapping[str, Any],
    out: Path,
    progress: Progress,
) -> list[dict[str, Any]]:
    """Write the missing shards, and return the manifest of every shard."""
    listed = list(_shards(survey))
    names = [name for name, *_ in listed]
    records = {name: record for name in names if (record := finished(out / name)) is not None}
    missing = [(start, stop, str(out / name)) for name, start, stop in listed if name not in records]
    done = sum(record["rows"] for record in records.values())
    for record in write_all(missing):
        records[record["file"]] = record
        done += record["rows"]
        progress(done, survey["rows"])
    return [records[name] for name in names]


def _shards(survey: Mapping[str, Any]) -> Iterator[tuple[str, int, int]]:
    """Yield file name, first image and end of every shard; a shard has images of one part."""
    begin, size = 0, survey["built_from"]["shard_size"]
    for part, rows in survey["parts"]:
        count = -(-rows // size)
        for k in range(count):
            start = begin + k * size
            yield shards.part_name(k, count, part), start, min(start + size, begin + rows)
        begin += rows


def finished(path: Path) -> dict[str, Any] | None:
    """Return the manifest of a shard that exists and agrees with it, else None."""
    try:
        record: dict[str, Any] = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        agrees = path.stat().st_size == record["bytes"] and sha256_file(path) == record["sha256"]
    except (OSError, ValueError, KeyError):
        return None
    return record if agrees else None


def _earlier_survey(config: BuildConfig, out: Path) -> dict[str, Any] | None:
    """Return the survey of an earlier build of the same configuration, or None in an empty folder."""
    path = out / BUILD
    if not path.is_file():
        return None
    try:
        survey: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        before, now = survey["built_from"], config.identity()
    except (OSError, ValueError, KeyError) as error:
        remedy = "Remove the folder, or give another."
        raise DataError(str(path), f"cannot be read: {error}", remedy) from None
    if differ := sorted(k for k in {*before, *now} if before.get(k) != now.get(k)):
        k = differ[0]
        problem = f"the folder's dataset has {k} {_short(before.get(k))}, requested is {_short(now.get(k))}"
        raise DataError(f"{path}: {', '.join(differ)}", problem, "Give another folder, or remove this one.")
    return survey


def _short(value: Any) -> str:
    text = canonical_json(value)
    return text if len(text) <= 60 else text[:57] + "..."


_listed: dict[str, ImageSet] = {}  # the images of the last source, listed once per process


def _list(config: BuildConfig) -> ImageSet:
    key = sha256_of([config.identity(), dict(config.paths)])
    if key not in _listed:
        _listed.clear()
        _listed[key] = config.images()
    return _listed[key]


def _survey(config: BuildConfig) -> dict[str, Any]:
    """Describe the images of the source, as JSON."""
    images = _list(config)
    if not len(images):
        raise DataError(f"source {config.plugin.name}", "has no images", "Check its folder and classes.")
    height, width = images.image.shape[1:]
    return {
        "built_from": config.identity(),
        "card": json.loads(canonical_json(dict(images.card))),
        "classes": list(images.classes),
        "columns": shards.schema_of(images).names,
        "height": height,
        "width": width,
        "rows": len(images),
        "parts": [["part", len(images)]] if config.format == "shards" else hub_card.parts_of(images),
    }


def _write(config: BuildConfig, shard: tuple[int, int, str]) -> dict[str, Any]:
    """Write one shard, given by its images and its path, and return its manifest."""
    images, (start, stop, path) = _list(config), shard
    schema = shards.schema_of(images, config.file_format)
    return shards.write_shard(Path(path), images.select(np.arange(start, stop)), schema)
