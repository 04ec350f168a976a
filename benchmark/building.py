"""Builds a dataset of shards from a source: by several workers, resumable, the same bytes however many."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmark import shards
from benchmark.errors import DataError, StoreError
from benchmark.execute import die_with_parent
from benchmark.records import ImageSet, canonical_json, sha256_file, sha256_of
from benchmark.registry import Plugin
from benchmark.store import write_json

BUILD = "build.json"
Told = Callable[[int, int], None]


@dataclass(frozen=True)
class Recipe:
    """All that decides the bytes of a dataset, and where the source's files lie.

    Attributes:
        plugin: the source.
        version: of its code.
        fingerprint: of what it reads.
        params: its parameters as JSON, without paths; ``paths`` has these, and is no part of the identity.
        classes, image_size, reserve_per_class, seed: as ``images`` of a source takes them.
        limit: at most so many images, spread evenly over the source; None for all.
        shard_size: images per shard.
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

    def identity(self) -> dict[str, Any]:
        """What two builds must share to be mixed, as JSON."""
        said = {k: v for k, v in asdict(self).items() if k not in ("plugin", "paths")}
        return dict(json.loads(canonical_json({**said, "source": self.plugin.name, "format": shards.FORMAT})))

    def images(self) -> ImageSet:
        """The images of the source, unread."""
        module = self.plugin.load()
        params = module.Params(**{**self.params, **self.paths})
        found: ImageSet = module.images(
            params,
            classes=self.classes,
            image_size=self.image_size,
            reserve_per_class=self.reserve_per_class,
            seed=self.seed,
        )
        if self.limit is None or self.limit >= len(found):
            return found
        return found.select(np.arange(self.limit) * len(found) // self.limit)


def build(recipe: Recipe, out: Path, *, workers: int, told: Told = lambda done, rows: None) -> dict[str, Any]:
    """Make, or finish, a dataset in a folder.

    A shard that is there and agrees with its manifest is not made again. Nothing counts as a dataset before
    ``dataset.json`` is written, which is last.

    Args:
        recipe: what to build.
        out: folder; it may hold an unfinished build of the same recipe.
        workers: processes, each with the table of the source in memory and one row group of pixels.
        told: called with the images that are done and those there are, after every shard.
    Returns:
        What ``dataset.json`` says.
    Raises:
        DataError: the folder holds something else, or the source cannot be read.
        StoreError: the folder cannot be written, the disk is full, or a worker was ended by the system.
    """
    with shards.told(out):
        out.mkdir(parents=True, exist_ok=True)
    with _alone(out):
        begun = _begun(recipe, out)
        if shards.is_store(out):
            return shards.describe(out)
        with _pool(recipe, workers) as run:
            if begun is None:
                begun = run(_survey).result()
                with shards.told(out):
                    write_json(out / BUILD, begun)
            records = _make(run, begun, out, told)
        about = {k: v for k, v in begun.items() if k != "shards"}
        return shards.seal(out, about, records)


def _make(
    run: Callable[..., Future[Any]], begun: Mapping[str, Any], out: Path, told: Told
) -> list[dict[str, Any]]:
    """Every shard's manifest; those that are missing are made."""
    records: dict[int, dict[str, Any]] = {}
    for k in range(begun["shards"]):
        record = finished(out / shards.part_name(k, begun["shards"]))
        if record is not None:
            records[k] = record
    rows = sum(record["rows"] for record in records.values())
    waiting = {
        run(_write, k, begun["shards"], str(out)): k for k in range(begun["shards"]) if k not in records
    }
    for future in as_completed(waiting):
        records[waiting[future]] = future.result()
        rows += records[waiting[future]]["rows"]
        told(rows, begun["rows"])
    return [records[k] for k in range(begun["shards"])]


def finished(path: Path) -> dict[str, Any] | None:
    """The manifest of a shard that is there and agrees with it, else None."""
    try:
        record: dict[str, Any] = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        agrees = path.stat().st_size == record["bytes"] and sha256_file(path) == record["sha256"]
    except (OSError, ValueError, KeyError):
        return None
    return record if agrees else None


def _begun(recipe: Recipe, out: Path) -> dict[str, Any] | None:
    """What an earlier, unfinished build of the same recipe found out, or None in an empty folder."""
    path = out / BUILD
    if not path.is_file():
        if any(out.glob("part-*")) or shards.is_store(out):
            raise DataError(
                str(out), f"holds shards, but no {BUILD}", "Give an empty folder, or remove the shards."
            )
        return None
    try:
        begun: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        built, mine = begun["built_from"], recipe.identity()
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            str(path), f"cannot be read: {error}", "Remove the folder, or give another."
        ) from None
    differ = sorted(k for k in {*built, *mine} if built.get(k) != mine.get(k))
    if differ:
        k = differ[0]
        raise DataError(
            f"{path}: {', '.join(differ)}",
            f"the folder holds a dataset with {k} {_short(built.get(k))}, asked for is {_short(mine.get(k))}",
            "Give another folder, or remove this one.",
        )
    return begun


def _short(value: Any) -> str:
    text = canonical_json(value)
    return text if len(text) <= 60 else text[:57] + "..."


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Hold the folder, so that two builds never write into it at once."""
    from filelock import FileLock, Timeout

    try:
        with shards.told(out), FileLock(out / ".build.lock", timeout=0):
            yield
    except Timeout:
        raise StoreError(
            str(out), "another build is at work in this folder", "Wait for it, or give another."
        ) from None


@contextmanager
def _pool(recipe: Recipe, workers: int) -> Iterator[Callable[..., Future[Any]]]:
    """Workers that list the source once each; gives the function that hands them a piece of work."""
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    before = {name: os.environ.get(name) for name in threads}
    os.environ.update(threads)  # as many workers as cores beat as many threads
    context = multiprocessing.get_context("spawn")
    try:
        pool = ProcessPoolExecutor(workers, context, initializer=die_with_parent)
        try:
            yield lambda work, *arguments: pool.submit(work, recipe, *arguments)
        except BrokenProcessPool:
            raise StoreError(
                "data build",
                "a worker was ended by the system, most likely for want of memory",
                "Use fewer --workers; the same command goes on where it stopped.",
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


# In a worker ------------------------------------------------------------------------------------------------

_listed: tuple[str, ImageSet] | None = None


def _list(recipe: Recipe) -> ImageSet:
    """The source's images, listed once per worker."""
    global _listed
    key = sha256_of([recipe.identity(), dict(recipe.paths)])
    if _listed is None or _listed[0] != key:
        _listed = (key, recipe.images())
    return _listed[1]


def _survey(recipe: Recipe) -> dict[str, Any]:
    """What the source has, as JSON."""
    images = _list(recipe)
    if not len(images):
        raise DataError(f"source {recipe.plugin.name}", "has no images", "Check its folder and classes.")
    height, width = images.image.shape[1:]
    return {
        "built_from": recipe.identity(),
        "card": json.loads(canonical_json(dict(images.card))),
        "classes": list(images.classes),
        "columns": shards.schema_of(images).names,
        "height": height,
        "width": width,
        "rows": len(images),
        "shards": -(-len(images) // recipe.shard_size),
    }


def _write(recipe: Recipe, k: int, count: int, out: str) -> dict[str, Any]:
    """Make one shard."""
    images = _list(recipe)
    start = k * recipe.shard_size
    rows = np.arange(start, min(start + recipe.shard_size, len(images)))
    path = Path(out) / shards.part_name(k, count)
    return shards.write_shard(path, images.select(rows), shards.schema_of(images))
