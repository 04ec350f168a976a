"""Builds a dataset of shards from a source: by several workers, resumable, the same bytes however many."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.errors import DataError, StoreError
from benchmark.images import shards
from benchmark.images.image_set import ImageSet
from benchmark.plugins.registry import Plugin
from benchmark.utils.files import write_json
from benchmark.utils.hashing import canonical_json, sha256_file, sha256_of
from benchmark.utils.processes import die_with_parent

BUILD = "build.json"
Told = Callable[[int, int], None]
Each = Callable[[Callable[..., dict[str, Any]], Iterable[tuple[Any, ...]]], Iterator[dict[str, Any]]]


@dataclass(frozen=True)
class BuildConfig:
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


def build(
    config: BuildConfig, out: Path, *, workers: int, told: Told = lambda done, rows: None
) -> dict[str, Any]:
    """Make, or finish, a dataset in a folder.

    A shard that is there and agrees with its manifest is not made again. Nothing counts as a dataset before
    ``dataset.json`` is written, which is last.

    Args:
        recipe: what to build.
        out: folder; it may hold an unfinished build of the same recipe.
        workers: processes, each with the table of the source in memory and one row group of pixels; a single
            one is this process.
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
        begun = _begun(config, out)
        if shards.is_store(out):
            return shards.describe(out)
        with _workers(config, workers) as each:
            if begun is None:
                begun = next(each(_survey, [()] * workers))  # all workers list the source meanwhile
                with shards.told(out):
                    write_json(out / BUILD, begun)
            records = _make(each, begun, out, told)
        about = {k: v for k, v in begun.items() if k != "shards"}
        return shards.seal(out, about, records)


def _make(each: Each, begun: Mapping[str, Any], out: Path, told: Told) -> list[dict[str, Any]]:
    """Every shard's manifest; those that are missing are made."""
    names = [shards.part_name(k, begun["shards"]) for k in range(begun["shards"])]
    records = {name: record for name in names if (record := finished(out / name)) is not None}
    rows = sum(record["rows"] for record in records.values())
    for record in each(_write, [(k, str(out / name)) for k, name in enumerate(names) if name not in records]):
        records[record["file"]] = record
        rows += record["rows"]
        told(rows, begun["rows"])
    return [records[name] for name in names]


def finished(path: Path) -> dict[str, Any] | None:
    """The manifest of a shard that is there and agrees with it, else None."""
    try:
        record: dict[str, Any] = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        agrees = path.stat().st_size == record["bytes"] and sha256_file(path) == record["sha256"]
    except (OSError, ValueError, KeyError):
        return None
    return record if agrees else None


def _begun(config: BuildConfig, out: Path) -> dict[str, Any] | None:
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
        built, mine = begun["built_from"], config.identity()
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

    lock = FileLock(out / ".build.lock", timeout=0)
    try:
        with shards.told(out):
            try:
                lock.acquire()
            except Timeout:  # which is an OSError too
                raise StoreError(
                    str(out), "another build is at work in this folder", "Wait for it, or give another."
                ) from None
        yield
    finally:
        lock.release()


@contextmanager
def _workers(config: BuildConfig, count: int) -> Iterator[Each]:
    """The function that does a piece of work for each of many arguments: here, or in worker processes.

    Every process that works lists the source once, and keeps the listing until it ends.
    """
    if count == 1:
        try:
            yield lambda work, many: (work(config, *arguments) for arguments in many)
        finally:
            _forget()
        return
    with _one_thread_each():
        pool = ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), initializer=die_with_parent)

        def each(work: Callable[..., Any], many: Iterable[tuple[Any, ...]]) -> Iterator[dict[str, Any]]:
            for future in as_completed([pool.submit(work, config, *arguments) for arguments in many]):
                yield future.result()

        try:
            yield each
        except BrokenProcessPool:
            raise StoreError(
                "data build",
                "a worker was ended by the system, most likely for want of memory",
                "Use fewer --workers; the same command goes on where it stopped.",
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes that start meanwhile have one thread: as many workers as cores beat as many threads."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


_listed: tuple[str, ImageSet] | None = None


def _list(config: BuildConfig) -> ImageSet:
    """The source's images, listed once per worker."""
    global _listed
    key = sha256_of([config.identity(), dict(config.paths)])
    if _listed is None or _listed[0] != key:
        _listed = (key, config.images())
    return _listed[1]


def _forget() -> None:
    global _listed
    _listed = None


def _survey(config: BuildConfig) -> dict[str, Any]:
    """What the source has, as JSON."""
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
        "shards": -(-len(images) // config.shard_size),
    }


def _write(config: BuildConfig, k: int, path: str) -> dict[str, Any]:
    """Make one shard."""
    images = _list(config)
    start = k * config.shard_size
    rows = np.arange(start, min(start + config.shard_size, len(images)))
    return shards.write_shard(Path(path), images.select(rows), shards.schema_of(images))
