"""``data build`` and ``data show``: convert a source into shards, describe and draw images."""

import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.cli.requests import BuildRequest, ReadRequest, ShowRequest, TargetRequest
from benchmark.datasets import _build as building
from benchmark.errors import TaskError
from benchmark.experiments.progress import clock
from benchmark.images import plots, shards
from benchmark.images.gray_levels import note_few_levels
from benchmark.images.image_set import ImageSet
from benchmark.planning.source import check_settings, read_settings, source_params
from benchmark.plugins.registry import find
from benchmark.plugins.source import DataSource, load_source
from benchmark.tasks.loading import load_task, task_names
from benchmark.utils.commands import command
from benchmark.utils.files import disk_errors
from benchmark.utils.processes import worker_count

CLASS_CONSTANTS = ("CLASSES", "OBSERVATIONS", "FINDINGS", "TERMS")  # of a source's module
NOT_STATED = "not stated"


def build_config(request: ReadRequest, source: str | None, **settings: Any) -> building.BuildConfig:
    """Resolve and validate what to read, before anything is read.

    Args:
        source: name of a data source; None for the task's.
        settings: further fields of ``BuildConfig``. With ``shard_size``, that is to build, the fingerprint
            is taken too, for which some sources read all of their files.
    Raises:
        TaskError, DataError: an unknown source or parameter, a missing root, or no classes.
    """
    task = load_task(request.task) if request.task else None
    name = source or (task.default_source if task else None)
    if name is None:
        raise TaskError("--source", "is missing", "Name a data source, or a --task that has one.")
    plugin = find("sources", [name])[0]
    module, given = load_source(plugin), read_settings(request.set)
    check_settings(module, given, split=False)
    values = dict(task.sources[plugin.name].params) if task and plugin.name in task.sources else {}
    params = source_params(module, plugin.name, {**values, **given}, request.root)
    paths = {k: str(v) for k, v in params if isinstance(v, Path)}
    classes = request.classes or (task.classes if task else _classes(module, plugin.name))
    return building.BuildConfig(
        plugin=plugin,
        version=plugin.version(module),
        fingerprint=module.fingerprint(params) if "shard_size" in settings else "",
        params={k: v for k, v in params.model_dump(mode="json").items() if k not in paths},
        paths=paths,
        classes=classes,
        image_size=request.size,
        reserve_per_class=request.reserve,
        seed=request.seed,
        **settings,
    )


def _classes(module: DataSource, name: str) -> tuple[str, ...]:
    """The classes that the module of a source lists."""
    for constant in CLASS_CONSTANTS:
        if isinstance(classes := getattr(module, constant, None), tuple | dict):
            return tuple(classes)
    tasks = [t for t in task_names() if name in load_task(t).sources]
    hint = f", or a task that reads this source: --task {tasks[0]}" if tasks else ""
    raise TaskError(
        "--classes", f"is missing, and source '{name}' has no default", f"Give classes with commas{hint}."
    )


def build(request: BuildRequest) -> int:
    """``data build``: convert a source into a folder of shards and its memory-mapped file."""
    building.check_folder(request.out)
    config = build_config(
        request, request.source, limit=request.limit, shard_size=request.shard_size, format=request.format
    )
    workers = worker_count("cpu", request.workers)
    about = building.build(config, request.out, workers=workers, progress=_Progress().update)
    if request.format == "shards":
        shards.open(request.out)
    size = sum(record["bytes"] for record in about["shards"])
    print(f"{about['rows']} images in {len(about['shards'])} shards, {size / 2**20:.1f} MiB: {request.out}")
    for note in about["card"].get("notes", ()):
        print(f"note: {note}")
    print(f"Look at it with: {command('data', 'show', request.out)}")
    return 0


class _Progress:
    """A line on stderr about every ten seconds."""

    def __init__(self) -> None:
        self.start = self.last = time.monotonic()
        self.first: int | None = None

    def update(self, done: int, total: int) -> None:
        """Report that ``done`` of ``total`` images are written."""
        now = time.monotonic()
        if self.first is None:
            self.first, self.start = done, now  # the first shard waits for the listing
        if done < total and now - self.last < 10:
            return
        self.last = now
        pace = (done - self.first) / max(now - self.start, 1e-9)
        left = f", {pace:.0f} a second, {clock((total - done) / pace)} left" if pace else ""
        print(f"{done} of {total} images{left}", file=sys.stderr, flush=True)


def target_images(request: TargetRequest) -> ImageSet:
    """The images of a folder of shards, or of a source."""
    folder = Path(request.target)
    if not folder.is_dir():
        return build_config(request, request.target).images()
    mapped = shards.mapped_record(folder, shards.describe(folder)) is not None
    return shards.open(folder) if mapped else shards.read_shards(folder)


def show(request: ShowRequest) -> int:
    """``data show``: print the card of the images, and write a grid."""
    images = target_images(request)
    print("\n".join(card_lines(request.target, images)))
    drawn = for_grid(images, request.columns)
    for note in note_few_levels([drawn], "images in the grid"):
        print(f"note: {note}")
    out = request.out or Path("outputs") / f"{Path(request.target).name}.png"
    with disk_errors(out.parent):
        out.parent.mkdir(parents=True, exist_ok=True)
        plots.sample_grid(drawn, out, request.columns)
    print(f"grid: {out}")
    return 0


def for_grid(images: ImageSet, columns: int) -> ImageSet:
    """Choose ``columns`` images of every class, spread over the set; the rarest label counts."""
    single = images.to_single_label()
    chosen: list[int] = []
    for k in range(len(single.classes)):
        members = np.flatnonzero(single.label == k)
        if len(members):
            chosen += members[np.unique(np.arange(columns) * len(members) // columns)].tolist()
    return single.select(chosen)


def card_lines(name: str, images: ImageSet) -> list[str]:
    """Describe a set: its card, its columns, and a table of images per class and split."""
    card = {k: v for k, v in images.card.items() if k not in ("notes", "store")}
    height, width = images.image.shape[1:]
    lines = [
        name,
        *(f"  {k}: {v}" for k, v in card.items() if isinstance(v, str | int | float)),
        f"  images: {len(images)} of {width} x {height} pixels, {len(images.patients())} patients",
    ]
    if images.clip is not None:
        clips = np.unique(images.clip[images.clip != ""])
        lines.append(f"  clips: {len(clips)}, {np.count_nonzero(images.clip == '')} still images")
    for field in ("license", "origin", "site", "view", "sex"):
        column = getattr(images, field)
        if column is not None:
            lines.append(f"  {field}: {_value_counts(column)}")
    if images.age is not None:
        lines.append(f"  age: {_age_range(images.age)}")
    return [*lines, "", *_table(images), "", *(f"note: {note}" for note in images.card.get("notes", ()))]


def _value_counts(column: np.ndarray, limit: int = 12) -> str:
    counts = Counter(str(v) if v not in (None, "") else NOT_STATED for v in column.tolist())
    text = ", ".join(f"{value} {n}" for value, n in counts.most_common(limit))
    return text + (f" and {len(counts) - limit} more" if len(counts) > limit else "")


def _age_range(column: np.ndarray) -> str:
    ages = pd.to_numeric(pd.Series(column), errors="coerce").replace([np.inf, -np.inf], np.nan)
    if ages.isna().all():
        return NOT_STATED
    missing = f", {ages.isna().sum()} {NOT_STATED}" if ages.isna().any() else ""
    return f"{ages.min():.0f} to {ages.max():.0f} years, median {ages.median():.0f}{missing}"


def _table(images: ImageSet) -> list[str]:
    """Images per class and split; images and patients in the last lines."""
    split = np.full(len(images), "all, not yet split") if images.split is None else images.split
    label = images.label if images.multilabel else np.eye(len(images.classes), dtype=int)[images.label]
    columns = dict(zip(images.classes, label.T.astype(int), strict=True))
    if images.multilabel:
        columns["no finding"] = (~label.any(1)).astype(int)
    table = pd.DataFrame(columns | {"images": 1}).groupby(split, sort=False).sum()
    table["patients"] = pd.Series(images.patient_id).groupby(split, sort=False).nunique()
    return str(table.T.to_string()).splitlines()
