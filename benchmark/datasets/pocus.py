"""COVID-19 lung ultrasound dataset (Born et al. 2021, doi:10.3390/app11020672), read in its public layout.

https://github.com/jannisborn/covid19_ultrasound, folder ``data``: ``dataset_metadata.csv`` beside
``pocus_images/<probe>`` and ``pocus_videos/<probe>``. Videos become frames at 3 Hz, as in Born et al. and in
Zhang et al. 2023, section 4.1.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, Field

from benchmark.datasets._readers import listing
from benchmark.datasets._readers.clips import ClipFile, join_patients, read_file
from benchmark.datasets._readers.folder_tree import existing_folder, note_missing
from benchmark.datasets._readers.listing import Record, Use
from benchmark.datasets._readers.same_images import Groups
from benchmark.datasets._readers.video import SUFFIXES as VIDEO_SUFFIXES
from benchmark.datasets._readers.video import Broken
from benchmark.errors import DataError
from benchmark.images.decoding import SUFFIXES, inside
from benchmark.images.image_set import ImageSet
from benchmark.utils.csv_file import read_csv
from benchmark.utils.missing import known

version = "2"
conditions = frozenset({"age", "sex"})

Probe = Literal["convex", "linear"]
TABLE = "dataset_metadata.csv"
PATIENT = "patient id / name"
COLUMNS = ("filename", "label", "license", "type", "probe", PATIENT)
FURTHER = ("inthisrepo", "current location", "age", "gender", "source id")
CLASSES = {
    "covid19": "covid-19",
    "pneumonia": "bacterial pneumonia",
    "healthy": "regular",
    "viral_pneumonia": "viral pneumonia",
}
CLASS_OF_LABEL = {label: name for name, label in CLASSES.items()}
KINDS = {"image": ("pocus_images", SUFFIXES), "video": ("pocus_videos", VIDEO_SUFFIXES)}
SEXES = {"m": "male", "w": "female", "f": "female"}

# One person under several ids, by eye: the same chest wall, pleura and lesion in consecutive recordings of
# one set of the hospital. The table gives them different ages and sexes, so those of this hospital are not
# reliable. 175 and 210 have the same video, cropped differently; the copy detector reports it.
SAME_PATIENT = (
    ("184", "185"), ("186", "187"), ("188", "189"), ("196", "197"), ("201", "202"), ("208", "209"),
    ("198", "204"), ("198", "205"), ("175", "210"),
)  # fmt: skip


class Params(BaseModel, extra="forbid", frozen=True):
    """Location of the dataset, and how it is read.

    Attributes:
        root: the folder ``data`` of the dataset.
        probe: ``convex`` as in Born et al. and Zhang et al., or ``linear``, or both.
        use: ``research`` leaves out files that have no license or may not be changed; ``commercial`` also
            those with a non-commercial license, as Zhang et al. 2023, section 4.1, did.
        also_licenses: further values of the column License to admit, for which you have a permission.
        hertz: frames per second of video; 3 in Born et al. and in Zhang et al.
        most: frames per video at most; 30 in Born et al.
        square: ``sector`` crops images that are not square yet to the square around the ultrasound sector;
            ``stretch`` and ``pad`` use the whole image.
        broken: a video that stops decoding midway is an error, or its frames before the fault are used.
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
    """Return the SHA-256 of the records whose class, probe and license are used, and of their files.

    Raises:
        DataError: as ``images`` for the folder, the table and missing files.
    """
    return listing.fingerprint_records(_select(params, tuple(CLASSES)).records)


def images(
    params: Params, *, classes: tuple[str, ...], image_size: int, reserve_per_class: int, seed: int
) -> ImageSet:
    """Read the still images and video frames of these classes.

    Every file is decoded here, once: only decoding shows the number of frames and the sector, and the whole
    dataset takes 17 MB at 64 pixels, 0.2 GB at 224.

    Args:
        classes: of ``CLASSES``, in the task's order.
        image_size: side in pixels.
    Raises:
        UnknownNameError: a class that this dataset does not have.
        DataError: the folder, the table, a file is missing or broken; or the licenses leave nothing of a
            class.
    """
    listing.check_classes(classes, CLASSES, "pocus")
    selection = _select(params, classes)
    _refuse_vanished(params, selection, classes)
    files = [_read(record, params, image_size) for record in selection.records]
    patients = Groups(file.record.patient_id for file in files)
    patients.join_known(SAME_PATIENT)
    chosen, repeated = join_patients(files, patients)
    read = _image_set(chosen, patients, classes, image_size)
    return listing.with_card(
        read,
        [*selection.notes, *_fault_notes(files), *repeated, *patients.note()],
        name="COVID-19 lung ultrasound dataset (POCUS)",
        url="https://github.com/jannisborn/covid19_ultrasound",
        citation="Born et al. 2021, Applied Sciences 11(2), 672, doi:10.3390/app11020672",
        videos=sum(not file.still for file in chosen),
        still_images=sum(file.still for file in chosen),
        licenses=dict(sorted(Counter(file.record.license for file in chosen).items())),
        use=params.use,
        frames=f"every int(rate / {params.hertz:g}) frames, at most {params.most} per video",
    )


@dataclass
class _Selection:
    """Records that are used, the number excluded by license per class, and notes on all that is left out."""

    records: list[Record] = field(default_factory=list)
    forbidden: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)


def _select(params: Params, classes: Sequence[str]) -> _Selection:
    existing_folder(params.root)
    on_disk = _files(params)
    skipped: dict[str, Counter[str]] = {}
    selection, absent = _Selection(), []
    listed: set[Path] = set()
    for where, cells in read_csv(params.root / TABLE, COLUMNS, FURTHER).records():
        label = CLASS_OF_LABEL.get(cells["label"].lower(), "")
        kind, name = cells["type"].lower(), cells["filename"]
        paths = on_disk.get((kind, cells["probe"].lower(), name.lower()), [])
        listed.update(paths)
        if reason := _reason_to_skip(params, cells, label, classes, bool(paths)):
            skipped.setdefault(reason[0], Counter())[reason[1] or "blank"] += 1
            selection.forbidden[label] += reason[0].startswith("license")
        elif paths:
            name = paths[0].relative_to(params.root).as_posix()
            selection.records.append(_record(params, where, cells, label, name))
        else:
            name = f"{KINDS.get(kind, (kind,))[0]}/{name}"
            absent.append(_record(params, where, cells, label, name))
    notes = [note for reason, counts in skipped.items() for note in listing.left_out(reason, counts)]
    if absent:
        names, total = [record.image_id for record in absent], len(absent) + len(selection.records)
        notes += note_missing(names, total, params.allow_missing, absent[0].where, absent[0].path)
    if unnamed := sum(record.patient_id.startswith("file:") for record in selection.records):
        notes.append(f"{unnamed} files without a patient id count as a patient each")
    if unlisted := sum(map(len, on_disk.values())) - len(listed):
        notes.append(f"{unlisted} files of this probe left out: in no record of the table")
    selection.notes = notes
    return selection


def _reason_to_skip(
    params: Params, cells: dict[str, str], label: str, classes: Sequence[str], exists: bool
) -> tuple[str, str] | None:
    """Return why a record is left out, and the text that decides, or None to use it."""
    if cells["probe"].lower() not in params.probe:
        return "another probe", cells["probe"]
    if label not in classes:
        return "label not among the classes", cells["label"]
    if not exists and cells.get("inthisrepo", "yes").lower() not in ("yes", ""):
        return "not part of the public repository", cells.get("current location", "")
    if not _licensed(cells["license"], params):
        return f"license does not allow {params.use} use", cells["license"]
    return None


def _files(params: Params) -> dict[tuple[str, str, str], list[Path]]:
    """Return the images and videos on disk by (kind, probe, lower-case name without its suffix)."""
    files: dict[tuple[str, str, str], list[Path]] = {}
    for kind, (folder, suffixes) in KINDS.items():
        for below in sorted((params.root / folder).glob("*")):
            if below.name.lower() not in params.probe or not below.is_dir():
                continue
            for path in sorted(below.iterdir()):
                if path.suffix.lower() in suffixes:
                    inside(params.root, path.relative_to(params.root).as_posix(), str(path))
                    files.setdefault((kind, below.name.lower(), path.stem.lower()), []).append(path)
    return files


def _licensed(text: str, params: Params) -> bool:
    """Return whether a license allows the use.

    Frames are cut out and models learn from them, so no-derivatives licenses forbid every use here.
    """
    if text in params.also_licenses:
        return True
    words = text.upper().replace("-", " ").split()
    if words[:1] not in (["CC0"], ["CC"]) or "ND" in words:
        return False
    return params.use == "research" or "NC" not in words


def _record(params: Params, where: str, cells: dict[str, str], label: str, name: str) -> Record:
    """Return a record; ``image_id`` is the file's path below the root."""
    path = inside(params.root, name, f"{where}: filename")
    return Record(
        where=where,
        path=path,
        image_id=name,
        patient_id=known(cells[PATIENT]) or f"file:{path.stem}",
        label=label,
        age=listing.age_or_nan(cells.get("age", "")),
        sex=SEXES.get(cells.get("gender", "").lower(), ""),
        site=known(cells.get("source id", "")),
        license=cells["license"],
    )


def _refuse_vanished(params: Params, selection: _Selection, classes: Sequence[str]) -> None:
    counts = Counter(record.label for record in selection.records)
    for name in classes:
        if counts[name]:
            continue
        if selection.forbidden[name]:
            raise DataError(
                f"{params.root / TABLE}: License",
                f"none of the {selection.forbidden[name]} files of class '{name}' allows {params.use} use",
                "Drop the class from the task, choose another use, or name a license in also_licenses "
                "if you have a permission.",
            )
        problem = f"has no file of class '{name}' ({CLASSES[name]}) with probe {' or '.join(params.probe)}"
        remedy = "Drop the class from the task, or complete the dataset."
        raise DataError(f"{params.root / TABLE}: Label", problem, remedy)


def _read(record: Record, params: Params, size: int) -> ClipFile:
    video = record.image_id.startswith(KINDS["video"][0])
    options = params.model_dump(include={"hertz", "most", "broken", "square"})
    return read_file(record, size, video=video, **options)


def _fault_notes(files: Sequence[ClipFile]) -> list[str]:
    faults = [file.fault for file in files if file.fault]
    blank = sum(file.blank for file in files)
    notes = [f"{len(faults)} videos stop midway, earlier frames used: {'; '.join(faults)}"] if faults else []
    return [*notes, f"{blank} blank frames left out"] if blank else notes


def _image_set(files: Sequence[ClipFile], patients: Groups, classes: tuple[str, ...], size: int) -> ImageSet:
    frames = [replace(file.record, image_id=image_id) for file in files for image_id in file.image_ids()]
    pixels = [file.pixels for file in files]
    image = np.concatenate(pixels) if pixels else np.zeros((0, size, size), np.uint8)
    clip = ["" if file.still else file.record.image_id for file in files for _ in range(len(file.pixels))]
    read = listing.image_set(frames, image, classes, "pocus", patients.find)
    return replace(read, clip=np.array(clip, dtype=np.str_))
