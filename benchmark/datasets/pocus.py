"""COVID-19 lung ultrasound dataset (Born et al. 2021, doi:10.3390/app11020672), read in its public layout.

https://github.com/jannisborn/covid19_ultrasound, folder ``data``: ``dataset_metadata.csv`` beside
``pocus_images/<probe>`` and ``pocus_videos/<probe>``. Videos become frames at 3 Hz, as in Born et al. and in
Zhang et al. 2023, section 4.1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import BaseModel, Field

from benchmark.datasets._readers import video as _video
from benchmark.datasets._readers.folder_tree import Use, note_missing
from benchmark.datasets._readers.listing import THUMB, Row, existing_folder, fingerprint_rows, left_out
from benchmark.datasets._readers.tables import read_table
from benchmark.datasets._readers.video import Broken, crop, read_clip, sector_box
from benchmark.errors import DataError, unknown_name
from benchmark.images.decoding import SUFFIXES, Fit, decode_gray, inside, to_square
from benchmark.images.image_set import ImageSet
from benchmark.utils.hashing import sha256_file

if TYPE_CHECKING:
    from PIL.Image import Image

version = "1"

Probe = Literal["convex", "linear"]
TABLE = "dataset_metadata.csv"
PATIENT = "patient id / name"
COLUMNS = ("filename", "label", "license", "type", "probe", PATIENT)
CLASSES = {
    "covid19": "covid-19",
    "pneumonia": "bacterial pneumonia",
    "healthy": "regular",
    "viral_pneumonia": "viral pneumonia",
}
CLASS_OF_LABEL = {label: name for name, label in CLASSES.items()}
KINDS = {"image": ("pocus_images", SUFFIXES), "video": ("pocus_videos", _video.SUFFIXES)}
SEXES = {"m": "male", "w": "female", "f": "female"}

# Thumbnails of two patients: 0.9988 for one picture saved twice (192 and 198), at most 0.979 otherwise.
SAME_PICTURE = 0.99
BLANK = 2.0  # standard deviation of gray values; the pack has one frame of 0.2

# One person under several ids, by eye: the same chest wall, pleura and lesion in consecutive recordings of
# one set of the hospital. The table gives them different ages and sexes, so those of this hospital
# are not to be relied on.
SAME_PATIENT = (
    ("184", "185"), ("186", "187"), ("188", "189"), ("196", "197"), ("201", "202"), ("208", "209"),
    ("198", "204"), ("198", "205"),
)  # fmt: skip


class Params(BaseModel, extra="forbid", frozen=True):
    """Where the dataset lies and how it is read.

    Attributes:
        root: the folder ``data`` of the dataset.
        probe: ``convex`` as in Born et al. and Zhang et al., or ``linear``, or both.
        use: ``research`` leaves out what has no license or may not be changed; ``commercial`` also the
            non-commercial licenses, as Zhang et al. 2023, section 4.1, did.
        also_licenses: values of the column License to admit besides, where you have a permission of your own.
        hertz: frames per second of video; 3 in Born et al. and in Zhang et al.
        most: frames per video at most; 30 in Born et al.
        square: ``sector`` cuts pictures that are not square yet to the square around the ultrasound sector;
            ``stretch`` and ``pad`` take the whole picture.
        broken: a video that stops decoding midway is an error, or its frames before the fault are kept.
        allow_missing: share of the files of this repository that may be absent, with a note.
    """

    root: Path
    probe: tuple[Probe, ...] = Field(("convex",), min_length=1)
    use: Use = "research"
    also_licenses: tuple[str, ...] = ()
    hertz: float = Field(3.0, gt=0, le=100)
    most: int = Field(30, ge=1, le=1000)
    square: Literal["sector", "stretch", "pad"] = "sector"
    broken: Broken = "error"
    allow_missing: float = Field(0.0, ge=0, le=1)


def fingerprint(params: Params) -> str:
    """SHA-256 over the rows with a class, a probe and a license that are used, and over their files.

    Raises:
        DataError: as ``images`` for the folder, the table and missing files.
    """
    return fingerprint_rows(_select(params, tuple(CLASSES)).rows)


def images(
    params: Params, *, classes: tuple[str, ...], image_size: int, reserve_per_class: int, seed: int
) -> ImageSet:
    """Still images and video frames of these classes.

    Every file is decoded once, here: the number of frames and the cut to the sector are known only then, and
    the whole dataset takes 17 MB at 64 pixels, 0.2 GB at 224.

    Args:
        classes: of ``CLASSES``, in the task's order.
        image_size: side in pixels.
    Raises:
        UnknownNameError: a class that this dataset does not have.
        DataError: the folder, the table, a file is missing or broken; or the licenses leave nothing of
            a class.
    """
    for name in classes:
        if name not in CLASSES:
            raise unknown_name("class", name, list(CLASSES), "source pocus")
    chosen = _select(params, classes)
    _refuse_vanished(params, chosen, classes)
    files = [_read(row, params, image_size) for row in chosen.rows]
    notes = [*chosen.notes, *_fault_notes(files)]
    kept, patients, merged = _merge(files)
    return _image_set(kept, patients, classes, image_size, params, [*notes, *merged])


@dataclass
class _Selection:
    """The rows that are used, what was left out by license per class, and notes on all that is left out."""

    rows: list[Row] = field(default_factory=list)
    forbidden: Counter[str] = field(default_factory=Counter)
    notes: tuple[str, ...] = ()


def _select(params: Params, classes: Sequence[str]) -> _Selection:
    existing_folder(params.root)
    on_disk = _files(params)
    other: dict[str, Counter[str]] = {}
    chosen, absent, unnamed = _Selection(), [], 0
    listed: set[Path] = set()

    def skip(reason: str, value: str) -> None:
        other.setdefault(reason, Counter())[value or "blank"] += 1

    for where, told in read_table(params.root / TABLE, COLUMNS):
        label = CLASS_OF_LABEL.get(told["label"].lower())
        kind, name = told["type"].lower(), told["filename"]
        found = on_disk.get((kind, told["probe"].lower(), name.lower()), [])
        listed.update(found)
        if told["probe"].lower() not in params.probe:
            skip("another probe", told["probe"])
        elif label not in classes:
            skip("label not among the classes", told["label"])
        elif not found and told.get("inthisrepo", "yes").lower() not in ("yes", ""):
            skip("not part of the public repository", told.get("current location", ""))
        elif not _licensed(told["license"], params):
            chosen.forbidden[str(label)] += 1
            skip(f"license does not allow {params.use} use", told["license"])
        elif not found:
            absent.append(_row(params, where, told, str(label), KINDS.get(kind, (kind,))[0] + f"/{name}"))
        else:
            unnamed += not told[PATIENT]
            name = found[0].relative_to(params.root).as_posix()
            chosen.rows.append(_row(params, where, told, str(label), name))
    notes = [note for reason, counts in other.items() for note in left_out(reason, counts)]
    if absent:
        names, total = [row.image_id for row in absent], len(absent) + len(chosen.rows)
        notes += note_missing(names, total, params.allow_missing, absent[0].where, absent[0].path)
    if unnamed:
        notes.append(f"{unnamed} files without a patient id count as a patient each")
    spare = sum(len(paths) for paths in on_disk.values()) - len(listed)
    if spare:
        notes.append(f"{spare} files of this probe left out: in no row of the table")
    chosen.notes = tuple(notes)
    return chosen


def _files(params: Params) -> dict[tuple[str, str, str], list[Path]]:
    """The pictures and videos on disk by (kind, probe, lower-case name without its ending)."""
    found: dict[tuple[str, str, str], list[Path]] = {}
    for kind, (folder, suffixes) in KINDS.items():
        for below in sorted((params.root / folder).glob("*")):
            if below.name.lower() not in params.probe or not below.is_dir():
                continue
            for path in sorted(below.iterdir()):
                if path.suffix.lower() in suffixes:
                    inside(params.root, path.relative_to(params.root).as_posix(), str(path))
                    found.setdefault((kind, below.name.lower(), path.stem.lower()), []).append(path)
    return found


def _licensed(text: str, params: Params) -> bool:
    """Whether a license allows the use.

    Frames are cut out and models learn from them, so no-derivatives licenses forbid every use here.
    """
    if text in params.also_licenses:
        return True
    words = text.upper().replace("-", " ").split()
    if words[:1] not in (["CC0"], ["CC"]) or "ND" in words:
        return False
    return params.use == "research" or "NC" not in words


def _row(params: Params, where: str, told: dict[str, str], label: str, name: str) -> Row:
    """A row of the table; ``image_id`` is the file's path below the root."""
    path = inside(params.root, name, f"{where}: filename")
    return Row(
        where=where,
        path=path,
        image_id=name,
        patient_id=told[PATIENT] or f"file:{path.stem}",
        label=label,
        age=_number(told.get("age", "")),
        sex=SEXES.get(told.get("gender", "").lower(), ""),
        site=told.get("source id", ""),
        license=told["license"],
    )


def _number(text: str) -> float:
    """Years; blank, ``nd`` and the like are unknown."""
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _refuse_vanished(params: Params, chosen: _Selection, classes: Sequence[str]) -> None:
    have = Counter(row.label for row in chosen.rows)
    for name in classes:
        if have[name]:
            continue
        if chosen.forbidden[name]:
            raise DataError(
                f"{params.root / TABLE}: License",
                f"none of the {chosen.forbidden[name]} files of class '{name}' allows {params.use} use",
                "Drop the class from the task, choose another use, or name a license in also_licenses "
                "if you have a permission.",
            )
        raise DataError(
            f"{params.root / TABLE}: Label",
            f"has no file of class '{name}' ({CLASSES[name]}) with probe {' or '.join(params.probe)}",
            "Drop the class from the task, or complete the dataset.",
        )


@dataclass(frozen=True)
class _File:
    """One file as read: (T, S, S) pictures and thumbnails, and the places of the frames, none for a still."""

    row: Row
    pictures: np.ndarray
    thumbs: np.ndarray
    number: np.ndarray
    digest: str
    fault: str = ""
    blank: int = 0

    @property
    def still(self) -> bool:
        return not len(self.number)


def _read(row: Row, params: Params, size: int) -> _File:
    from PIL.Image import fromarray

    number, fault, blank = np.zeros(0, np.int64), "", 0
    if row.path.suffix.lower() in _video.SUFFIXES and row.image_id.startswith(KINDS["video"][0]):
        clip = read_clip(row.path, hertz=params.hertz, most=params.most, broken=params.broken)
        shows = np.array([frame.std() >= BLANK for frame in clip.frames])
        if not shows.any():
            raise DataError(str(row.path), "shows nothing in any frame", "Remove its row.")
        frames, number, blank = clip.frames[shows], clip.number[shows], int((~shows).sum())
        fault = f"{row.path.name} after {clip.decoded} frames ({clip.fault})" if clip.fault else ""
    else:
        frames = np.asarray(decode_gray(row.path))[None]
    box = sector_box(frames) if params.square == "sector" else None
    fit: Fit = "stretch" if params.square == "stretch" else "pad"
    cut = [fromarray(crop(frame, box)) for frame in frames]
    return _File(
        row=row,
        pictures=np.stack([to_square(picture, size, fit=fit) for picture in cut]),
        thumbs=np.stack([_thumb(picture, fit) for picture in cut]),
        number=number,
        digest=sha256_file(row.path),
        fault=fault,
        blank=blank,
    )


def _thumb(picture: Image, fit: Fit) -> np.ndarray:
    """(THUMB, THUMB) uint8; averaged first, which is three times as fast as filtering all pixels."""
    return to_square(picture.reduce(max(1, min(picture.size) // (4 * THUMB))), THUMB, fit=fit)


def _fault_notes(files: Sequence[_File]) -> list[str]:
    faults = [file.fault for file in files if file.fault]
    blank = sum(file.blank for file in files)
    notes = (
        [f"{len(faults)} videos stop midway, frames before that kept: {'; '.join(faults)}"] if faults else []
    )
    return [*notes, f"{blank} blank frames left out"] if blank else notes


def _merge(files: list[_File]) -> tuple[list[_File], dict[str, str], list[str]]:
    """Join the patients of equal files and pictures, drop what is there twice.

    Returns:
        The files that stay, the id of the person per patient id, and notes.
    """
    pairs = [(a, b) for a, b in SAME_PATIENT if {a, b} <= {file.row.patient_id for file in files}]
    gone: set[int] = set()
    for i, j in _alike(files):
        a, b = files[i], files[j]
        pairs.append((a.row.patient_id, b.row.patient_id))
        same_file = a.digest == b.digest or (a.still and b.still)
        if same_file and a.row.label == b.row.label and i not in gone:
            gone.add(j)
    person = _people([file.row.patient_id for file in files], pairs)
    notes = []
    if gone:
        names = ", ".join(files[j].row.image_id for j in sorted(gone))
        notes.append(f"{len(gone)} files dropped, the same picture or video as another: {names}")
    multilabel: dict[str, list[str]] = {}
    for one, found in person.items():
        multilabel.setdefault(found, []).append(one)
    joined = [" = ".join(ids) for ids in multilabel.values() if len(ids) > 1]
    if joined:
        notes.append(f"ids joined, one patient each: {', '.join(joined)}")
    return [file for k, file in enumerate(files) if k not in gone], person, notes


def _alike(files: Sequence[_File]) -> Iterable[tuple[int, int]]:
    """Pairs i < j of files with the same bytes, or of two patients with a frame in common."""
    first: dict[str, int] = {}
    for j, file in enumerate(files):
        i = first.setdefault(file.digest, j)
        if i != j:
            yield i, j
    flat = np.concatenate([file.thumbs for file in files]).reshape(-1, THUMB * THUMB).astype(np.float32)
    flat -= flat.mean(1, keepdims=True)
    flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)
    ends = np.cumsum([len(file.thumbs) for file in files])
    for i, file in enumerate(files):
        mine = flat[ends[i] - len(file.thumbs) : ends[i]]
        most = np.maximum.reduceat((mine @ flat.T).max(0), np.concatenate([[0], ends[:-1]]))
        for j in np.flatnonzero(most >= SAME_PICTURE).tolist():
            if j > i and file.row.patient_id != files[j].row.patient_id:
                yield i, j


def _people(patients: Sequence[str], pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """The first id of the group that each patient id is joined to."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ids = list(dict.fromkeys(patients))
    place = {one: k for k, one in enumerate(ids)}
    a, b = [place[x] for x, _ in pairs], [place[y] for _, y in pairs]
    links = coo_array((np.ones(len(pairs)), (a, b)), shape=(len(ids), len(ids)))
    group = connected_components(links, directed=False)[1]
    first: dict[int, str] = {}
    return {one: first.setdefault(int(g), one) for one, g in zip(ids, group, strict=True)}


def _image_set(
    files: Sequence[_File],
    person: dict[str, str],
    classes: tuple[str, ...],
    size: int,
    params: Params,
    notes: Sequence[str],
) -> ImageSet:
    def per_image(values: Iterable[Any], dtype: Any = np.str_) -> np.ndarray:
        """(N,) a value of each file, once per picture."""
        return np.repeat(np.array(list(values), dtype=dtype), [len(file.pictures) for file in files])

    def column(values: Iterable[str]) -> np.ndarray | None:
        texts = per_image(values)
        return texts if (texts != "").any() else None

    ids = [
        name
        for file in files
        for name in (
            [file.row.image_id] if file.still else [f"{file.row.image_id}#{n:04d}" for n in file.number]
        )
    ]
    age = per_image((file.row.age for file in files), np.float64)
    pictures = [file.pictures for file in files]
    made = ImageSet(
        image=np.concatenate(pictures) if pictures else np.zeros((0, size, size), np.uint8),
        label=per_image((classes.index(file.row.label) for file in files), np.int64),
        classes=classes,
        image_id=np.array(ids, dtype=np.str_),
        patient_id=per_image(person[file.row.patient_id] for file in files),
        origin=np.full(len(ids), "real:pocus"),
        clip=per_image("" if file.still else file.row.image_id for file in files),
        site=column(file.row.site for file in files),
        age=age if np.isfinite(age).any() else None,
        sex=column(file.row.sex for file in files),
        license=column(file.row.license for file in files),
    )
    return replace(made, card=_card(made, files, params, notes))


def _card(made: ImageSet, files: Sequence[_File], params: Params, notes: Sequence[str]) -> dict[str, Any]:
    return {
        "name": "COVID-19 lung ultrasound dataset (POCUS)",
        "url": "https://github.com/jannisborn/covid19_ultrasound",
        "citation": "Born et al. 2021, Applied Sciences 11(2), 672, doi:10.3390/app11020672",
        "images": made.counts(),
        "patients": len(made.patients()),
        "videos": sum(not file.still for file in files),
        "still_images": sum(file.still for file in files),
        "licenses": dict(sorted(Counter(file.row.license for file in files).items())),
        "use": params.use,
        "frames": f"every int(rate / {params.hertz:g}) frames, at most {params.most} per video",
        "notes": list(notes),
    }
