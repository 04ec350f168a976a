"""What ``data build``, ``data show`` and ``data verify`` do."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import yaml

from benchmark.datasets import _build as building
from benchmark.engine.runner import worker_count
from benchmark.errors import BenchmarkError, TaskError
from benchmark.experiments.progress import clock
from benchmark.images import duplicates, shards
from benchmark.images import plots as pictures
from benchmark.images.image_set import ImageSet
from benchmark.planning.resolve import source_params
from benchmark.plugins.registry import find
from benchmark.tasks.schema import load_task, task_names
from benchmark.utils.files import write_json
from benchmark.utils.hashing import sha256_file

OWN_CLASSES = ("CLASSES", "OBSERVATIONS", "FINDINGS", "TERMS")  # where a source's module names what it has
NOT_SAID = "not stated"
SHOWN = 5  # examples of a finding that are printed; all are in the report, up to LISTED
LISTED = 1000


def build_config_of(options: argparse.Namespace, *, to_build: bool) -> building.BuildConfig:
    """What the options of a data verb ask for, checked before anything is read.

    Args:
        to_build: whether the fingerprint is needed, for which a source may have to read all of its files.

    Raises:
        TaskError, DataError: an unknown source or parameter, a missing root, or no classes.
    """
    task = load_task(options.task) if options.task else None
    name = options.source or (task.default_source if task else None)
    if name is None:
        raise TaskError("--source", "is missing", "Name a data source, or a --task that has one.")
    plugin = find("sources", [name])[0]
    module = plugin.load()
    given = dict(task.sources[name].params) if task and name in task.sources else {}
    given.update(_settings(options.set))
    params = source_params(module, name, given, options.root)
    paths = {k: str(v) for k, v in params if isinstance(v, Path)}
    classes = _classes(options.classes, task.classes if task else None, module, name)
    return building.BuildConfig(
        plugin=plugin,
        version=plugin.version(module),
        fingerprint=module.fingerprint(params) if to_build else "",
        params={k: v for k, v in params.model_dump(mode="json").items() if k not in paths},
        paths=paths,
        classes=classes,
        image_size=options.size,
        reserve_per_class=options.reserve,
        seed=options.seed,
        limit=getattr(options, "limit", None),
        shard_size=getattr(options, "shard_size", None) or building.BuildConfig.shard_size,
    )


def _settings(pairs: Sequence[str]) -> dict[str, Any]:
    """``key=value`` texts, the values as YAML, or whole mappings as YAML: ``{key: value, other: value}``."""
    settings: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        try:
            if pair.lstrip().startswith("{"):
                settings.update(yaml.safe_load(pair))
            elif equals and key:
                settings[key.strip()] = yaml.safe_load(value)
            elif pair:
                raise TaskError(f"--set {pair}", "is not key=value", "For example --set patients=100.")
        except (yaml.YAMLError, ValueError):
            raise TaskError(f"--set {pair}", "is not YAML", "Quote the value.") from None
    return settings


def _classes(
    asked: str | None, of_task: Sequence[str] | None, module: ModuleType, name: str
) -> tuple[str, ...]:
    """The classes of the command, else of the task, else those that the source says it has."""
    if asked:
        return tuple(word.strip() for word in asked.split(",") if word.strip())
    if of_task:
        return tuple(of_task)
    for constant in OWN_CLASSES:
        if isinstance(own := getattr(module, constant, None), tuple | dict):
            return tuple(own)
    using = [t for t in task_names() if name in load_task(t).sources]
    hint = f", or a task that reads this source: --task {using[0]}" if using else ""
    raise TaskError(
        "--classes", f"is missing, and source '{name}' names none of its own", f"Give them with commas{hint}."
    )


def build(options: argparse.Namespace) -> int:
    """``data build``: a source into a folder of shards and its memory-mapped file."""
    config = build_config_of(options, to_build=True)
    workers = worker_count("cpu", options.workers)
    progress = _Progress()
    about = building.build(config, options.out, workers=workers, progress=progress.told)
    shards.open(options.out)
    size = sum(record["bytes"] for record in about["shards"])
    print(f"{about['rows']} images in {len(about['shards'])} shards, {size / 2**20:.1f} MiB: {options.out}")
    for note in about["card"].get("notes", ()):
        print(f"note: {note}")
    print(f"Look at it with: python -m benchmark data show {options.out}")
    return 0


class _Progress:
    """A line on stderr about every ten seconds."""

    def __init__(self) -> None:
        self.began = self.last = time.monotonic()
        self.first: int | None = None

    def told(self, done: int, rows: int) -> None:
        """``done`` of so many images are written."""
        now = time.monotonic()
        if self.first is None:
            self.first, self.began = done, now  # the first shard waits for the listing
        if done < rows and now - self.last < 10:
            return
        self.last = now
        pace = (done - self.first) / max(now - self.began, 1e-9)
        left = f", {pace:.0f} a second, {clock((rows - done) / pace)} left" if pace else ""
        print(f"{done} of {rows} images{left}", file=sys.stderr, flush=True)


def images_of(options: argparse.Namespace) -> tuple[str, ImageSet]:
    """Name and images of the target of ``show`` and ``verify``: a folder of shards, or a source."""
    target, folder = options.target, Path(options.target)
    if folder.is_dir():
        mapped = shards.mapped_record(folder, shards.describe(folder)) is not None
        return target, shards.open(folder) if mapped else shards.read_shards(folder)
    options.source = target
    return target, build_config_of(options, to_build=False).images()


def show(options: argparse.Namespace) -> int:
    """``data show``: print the card, write a grid."""
    name, images = images_of(options)
    print("\n".join(card_lines(name, images)))
    out = options.out or Path("outputs") / f"{Path(name).name}.png"
    with shards.build_errors(out.parent):
        out.parent.mkdir(parents=True, exist_ok=True)
        pictures.sample_grid(for_grid(images, options.columns), out, options.columns)
    print(f"grid: {out}")
    return 0


def for_grid(images: ImageSet, columns: int) -> ImageSet:
    """So many images of every class, spread over the set; of several labels, the rarest counts."""
    one = images.to_single_label()
    rows: list[int] = []
    for k in range(len(one.classes)):
        mine = np.flatnonzero(one.label == k)
        rows += mine[np.unique(np.arange(columns) * len(mine) // columns)].tolist() if len(mine) else []
    return one.select(rows)


def card_lines(name: str, images: ImageSet) -> list[str]:
    """What a set is, in lines for people."""
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
            lines.append(f"  {field}: {_counted(column)}")
    if images.age is not None:
        lines.append(f"  age: {_ages(images.age)}")
    lines += ["", *_table(images), ""]
    return [*lines, *(f"note: {note}" for note in images.card.get("notes", ()))]


def _counted(column: np.ndarray, most: int = 12) -> str:
    counts = Counter(str(v) if v not in (None, "") else NOT_SAID for v in column.tolist())
    said = [f"{value} {n}" for value, n in counts.most_common(most)]
    return ", ".join(said) + (f" and {len(counts) - most} more" if len(counts) > most else "")


def _ages(column: np.ndarray) -> str:
    ages = np.array([np.nan if v in (None, "") else float(v) for v in column.tolist()])
    known = ages[np.isfinite(ages)]
    if not len(known):
        return NOT_SAID
    missing = len(ages) - len(known)
    said = f"{known.min():.0f} to {known.max():.0f} years, median {np.median(known):.0f}"
    return said + (f", {missing} {NOT_SAID}" if missing else "")


def _table(images: ImageSet) -> list[str]:
    """Images per class and split; patients in the last row."""
    split = images.split if images.split is not None else np.full(len(images), "")
    names = list(dict.fromkeys(split.tolist()))
    parts = [images.select(np.flatnonzero(split == s)) for s in names]
    wide = max(map(len, (*images.classes, "patients")))
    heads = [s or "all, to be divided" for s in names]
    lines = [" " * (wide + 2) + "  ".join(f"{h:>10}" for h in heads)]
    for k, label in enumerate(images.classes):
        counts = [int((p.label[:, k] if p.multilabel else p.label == k).sum()) for p in parts]
        lines.append(_line(label, counts, heads, wide))
    if images.multilabel:
        none = [int((~p.label.any(1)).sum()) for p in parts]
        lines.append(_line("no finding", none, heads, wide))
    lines.append(_line("images", [len(p) for p in parts], heads, wide))
    return [*lines, _line("patients", [len(p.patients()) for p in parts], heads, wide)]


def _line(name: str, counts: Sequence[int], heads: Sequence[str], wide: int) -> str:
    return f"{name:<{wide}}  " + "  ".join(
        f"{n:>{max(10, len(h))}}" for n, h in zip(counts, heads, strict=True)
    )


@dataclass(frozen=True)
class Check:
    """One line of ``data verify``.

    Attributes:
        name: what was looked at.
        ok: False when the data must not be used as they are.
        said: the result in words.
        found: every single finding, a line each.
    """

    name: str
    ok: bool
    said: str
    found: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """For people."""
        more = [f"{'':20}and {len(self.found) - SHOWN} more"] if len(self.found) > SHOWN else []
        head = f"{self.name:<17}  {'ok' if self.ok else 'WRONG':<6} {self.said}"
        return [head, *(f"{'':20}{line}" for line in self.found[:SHOWN]), *more]


def verify(options: argparse.Namespace) -> int:
    """``data verify``: 0 when everything is as it should be, else 1."""
    checks = checks_of(options)
    print("\n".join(line for check in checks for line in check.lines()))
    right = all(check.ok for check in checks)
    if options.out:
        with shards.build_errors(options.out.parent):
            options.out.parent.mkdir(parents=True, exist_ok=True)
            write_json(options.out, {"target": options.target, "ok": right, "checks": _as_json(checks)})
        print(f"report: {options.out}")
    return 0 if right else 1


def _as_json(checks: Sequence[Check]) -> list[dict[str, Any]]:
    return [
        {"name": c.name, "ok": c.ok, "said": c.said, "count": len(c.found), "found": list(c.found[:LISTED])}
        for c in checks
    ]


def checks_of(options: argparse.Namespace) -> list[Check]:
    """All checks of a target; what cannot be read ends the list with its fault."""
    checks: list[Check] = []
    if Path(options.target).is_dir():
        checks = check_files(Path(options.target))
        if not checks[0].ok:
            return checks
    try:
        _, images = images_of(options)
    except TaskError:
        raise
    except BenchmarkError as error:
        return [*checks, Check("pictures", False, str(error).replace("\n       ", " "))]
    return [*checks, check_patients(images), *check_pictures(images)]


def check_files(folder: Path) -> list[Check]:
    """The shards and the memory-mapped file of a folder against their hashes."""
    about = shards.describe(folder)
    wrong = [
        f"{record['file']}: SHA-256 differs from dataset.json"
        for record in about["shards"]
        if sha256_file(folder / record["file"]) != record["sha256"]
    ]
    number = f"{len(about['shards'])} shards, {about['rows']} rows"
    checks = [Check("shards", not wrong, f"{number}, {len(wrong)} with another hash", tuple(wrong))]
    record = shards.mapped_record(folder, about)
    if record is None:
        said, ok = "none of these shards yet; it is made at the first use", True
    else:
        ok = sha256_file(folder / shards.MAPPED) == record["sha256"]
        said = "hash agrees" if ok else f"hash differs; remove {shards.MAPPED}, it is made again"
    return [*checks, Check("memory map", ok, said)]


def check_patients(images: ImageSet) -> Check:
    """No patient in two splits."""
    if images.split is None:
        said = f"{len(images.patients())} patients, no splits given: the task divides by patient"
        return Check("patients", True, said)
    pairs = np.unique(np.stack([images.patient_id.astype(str), images.split.astype(str)], axis=1), axis=0)
    ids, first, count = np.unique(pairs[:, 0], return_index=True, return_counts=True)
    found = tuple(
        f"{ids[k]}: {', '.join(pairs[first[k] : first[k] + count[k], 1])}"
        for k in np.flatnonzero(count > 1).tolist()
    )
    people = Counter(pairs[:, 1].tolist())
    said = ", ".join(f"{name} {n}" for name, n in sorted(people.items()))
    return Check("patients", not found, f"{said}; {len(found)} in two splits", found)


def check_pictures(images: ImageSet) -> list[Check]:
    """Every picture can be read and shows something, and none is there twice where it matters.

    A copy is wrong when it is in another split, or, where no splits are given, of another patient, since
    the division by patient may then part the two. Other copies are counted only.
    """
    seen = duplicates.scan(images.image)
    broken = tuple(f"{images.image_id[row]}: {fault}" for row, fault in seen.broken)
    empty = tuple(str(i) for i in images.image_id[seen.indices[seen.empty]])
    return [
        Check("pictures", not broken, f"{len(seen.indices)} read, {len(broken)} not decodable", broken),
        Check("contrast", not empty, f"{len(empty)} of one gray value throughout, or nearly", empty),
        _exact(images, seen),
        _near(images, seen),
    ]


def _exact(images: ImageSet, seen: duplicates.Scan) -> Check:
    pairs = [(int(g[0]), int(other)) for g in duplicates.same_bytes(seen) for other in g[1:]]
    return _copies("exact copies", images, [(a, b, "") for a, b in pairs])


def _near(images: ImageSet, seen: duplicates.Scan) -> Check:
    _, patient = np.unique(images.patient_id, return_inverse=True)
    pairs = duplicates.same_picture(images.image, seen, patient)
    return _copies(
        "near copies", images, [(p.first, p.second, f", correlation {p.similarity:.3f}") for p in pairs]
    )


def _copies(name: str, images: ImageSet, pairs: Sequence[tuple[int, int, str]]) -> Check:
    wrong: list[str] = []
    other: Counter[str] = Counter()
    for a, b, more in pairs:
        same_patient = images.patient_id[a] == images.patient_id[b]
        if images.split is not None and images.split[a] != images.split[b]:
            kind = "in two splits"
        elif same_patient:
            kind = "of one patient"
        else:
            kind = "of two patients" + (" in one split" if images.split is not None else "")
        if kind in ("in two splits", "of two patients"):
            wrong.append(f"{_where(images, a)} and {_where(images, b)}{more}")
        else:
            other[kind] += 1
    counted = "".join(f", {n} {kind}" for kind, n in sorted(other.items()))
    what = "in two splits" if images.split is not None else "of two patients"
    return Check(name, not wrong, f"{len(wrong)} {what}{counted}", tuple(wrong))


def _where(images: ImageSet, row: int) -> str:
    split = f" in {images.split[row]}" if images.split is not None else ""
    return f"{images.image_id[row]} (patient {images.patient_id[row]}{split})"
