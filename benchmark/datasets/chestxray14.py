"""NIH ChestX-ray14 (Wang et al. 2017, arXiv:1705.02315), read in its public layout.

``Data_Entry_2017.csv`` (or ``_v2020``), ``BBox_List_2017.csv``, ``train_val_list.txt``, ``test_list.txt``,
and the image files in ``images/`` or ``images_001/images/`` to ``images_012/images/``.
"""

import re
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, Field

from benchmark.datasets._readers import folder_tree, large_tables
from benchmark.datasets._readers.listing import Use, with_card
from benchmark.datasets._readers.nih_boxes import read_boxes
from benchmark.errors import DataError
from benchmark.images.decoding import Fit
from benchmark.images.image_set import ImageSet
from benchmark.utils.csv_file import read_csv
from benchmark.utils.csv_table import CsvTable, number_or_nan

version = "1"
conditions = frozenset({"age", "sex", "view"})

NO_FINDING = "No Finding"
FINDINGS = (
    "Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia", "Pneumothorax",
    "Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening", "Hernia", NO_FINDING,
)  # fmt: skip
ALIASES = {
    "normal": NO_FINDING,
    "healthy": NO_FINDING,
    "Infiltrate": "Infiltration",
    "Pleural Effusion": "Effusion",
}
TABLES = ("Data_Entry_2017_v2020.csv", "Data_Entry_2017.csv")
BOXES = "BBox_List_2017.csv"
LISTS = {"train": "train_val_list.txt", "test": "test_list.txt"}
COLUMNS = ("image index", "finding labels", "patient id")
FURTHER = ("patient age", "patient gender", "patient sex", "view position")
OLDEST = 120  # years; some ages are 148 to 414
LICENSE = "NIH Clinical Center: unrestricted, with citation"

SEX = {"M": "male", "F": "female", "": ""}
VIEW = {"PA": "PA", "AP": "AP", "": ""}
YEARS = {"": 1.0, "Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}

_AGE = re.compile(r"(\d+)([YMWD]?)", re.IGNORECASE)


class Params(BaseModel, extra="forbid", frozen=True):
    """Location of the dataset, and how it is read.

    Attributes:
        root: folder with the tables and the image files.
        table: name of the table in ``root``; by default one of ``TABLES``, the corrected one first.
        split: ``official`` uses ``test_list.txt`` as test and ``train_val_list.txt`` as train; ``drawn``
            leaves the division by patient to the task (Segal et al. 2021, section 3.3).
        labels: ``all`` findings of an image; or ``single``: the images with exactly one of the classes.
        fit: ``stretch`` to a square, or ``pad`` with black.
        allow_missing: share of the listed images whose files may be missing; they are left out with a note.
        use: intended use; the dataset allows every use that cites it.
    """

    root: Path
    table: str | None = None
    split: Literal["official", "drawn"] = "official"
    labels: Literal["all", "single"] = "all"
    fit: Fit = "stretch"
    allow_missing: float = Field(0, ge=0, le=1)
    use: Use = "research"


def fingerprint(params: Params) -> str:
    """Return the SHA-256 of the tables and lists, and of path and size of every image file listed.

    Raises:
        DataError: as ``images`` for the folder and the table.
    """
    table, tree, paths, _ = _read(params)
    extra = [params.root / name for name in (BOXES, *LISTS.values())]
    return large_tables.fingerprint_tree(
        [table.path, *(path for path in extra if path.is_file())], tree, paths
    )


def images(
    params: Params, *, classes: tuple[str, ...], image_size: int, reserve_per_class: int, seed: int
) -> ImageSet:
    """Read the frontal radiographs and their findings.

    Args:
        classes: if these are findings, the set has these alone, in this order and spelling (``normal`` is
            No Finding); otherwise all 15, and the task's label policy makes classes of them.
        image_size: side in pixels.
    Returns:
        Label (N, K), or (N,) for ``labels: single``; ``reported_labels`` (N, K), negative unless labeled;
        ``box`` where radiologists drew one. Each file is decoded when its image is read.
    Raises:
        DataError: the folder, a table, a list or an image is missing or wrong.
    """
    columns, names = large_tables.requested_findings(classes, FINDINGS, ALIASES, "source chestxray14")
    table, tree, paths, notes = _read(params)
    label = _findings(table)[:, columns]
    age, odd_ages = _ages(table)
    index_of = {name: k for k, name in enumerate(FINDINGS)} | {"Infiltrate": FINDINGS.index("Infiltration")}
    box, more_boxes = read_boxes(params.root / BOXES, table, index_of, columns, image_size)
    split, unlisted = _splits(params, table)
    listed = ImageSet(
        image=large_tables.lazy_files(tree, paths, image_size, params.fit),
        label=label,
        classes=names,
        image_id=table.text("image index"),
        patient_id=_patients(table),
        origin=np.full(len(table), "real:chestxray14"),
        view=table.among("view position", VIEW),
        age=age,
        sex=table.among("patient sex" if "patient sex" in table else "patient gender", SEX),
        license=np.full(len(table), LICENSE),
        split=split,
        reported_labels=label.astype(np.int8),
        box=box,
    )
    notes += [*odd_ages, *more_boxes, *unlisted]
    if split is not None:
        listed = listed.select(np.flatnonzero(split != ""))
        assert listed.split is not None
        large_tables.refuse_shared(listed.patient_id, listed.split, f"source chestxray14: {params.root}")
    if params.labels == "single":
        listed, not_single = _single(listed)
        notes += not_single
    return with_card(
        listed,
        notes,
        name="NIH ChestX-ray14",
        url="https://nihcc.app.box.com/v/ChestXray-NIHCC",
        citation="Wang et al. 2017, CVPR, arXiv:1705.02315",
        license=LICENSE,
        table=table.path.name,
        boxes=0 if listed.box is None else int(np.isfinite(listed.box[:, 0]).sum()),
        fit=params.fit,
    )


def _read(params: Params) -> tuple[CsvTable, folder_tree.Tree, list[str], list[str]]:
    """Return the records whose file exists, the tree of files, the path of each record's file, and notes."""
    folder_tree.existing_folder(params.root)
    path, notes = _table(params)
    table = read_csv(path, COLUMNS, FURTHER)
    unique = large_tables.without_repeats(table, np.arange(len(table)), table.text("image index").tolist())
    table = table.select(unique)
    tree = folder_tree.walk(params.root)
    files = folder_tree.by_name(tree, lambda name: name.rpartition("/")[2], str(params.root))
    names = table.identifiers("image index")
    for k in np.flatnonzero(np.char.find(names, "/") >= 0)[:1].tolist():
        problem = f"'{names[k]}' points outside the folder or into a subfolder"
        raise table.fault(k, "Image Index", problem, "Give the file's name alone, as the public table does.")
    exists = np.array([name in files for name in names.tolist()], bool)
    gone = np.flatnonzero(~exists)
    where = table.where(int(gone[0])) if len(gone) else ""
    missing = folder_tree.note_missing(
        names[gone].tolist(), len(table), params.allow_missing, where, params.root, tree.outside
    )
    notes += [*missing, *tree.notes(files.get(name, "") for name in names.tolist())]
    return table.select(exists), tree, [files[name] for name in names[exists].tolist()], notes


def _table(params: Params) -> tuple[Path, list[str]]:
    candidates = [params.root / name for name in ((params.table,) if params.table else TABLES)]
    paths = [path for path in candidates if path.is_file()]
    if not paths:
        names = " or ".join(path.name for path in candidates)
        raise DataError(str(params.root), f"has no {names}", "Give the folder of the dataset's table.")
    return paths[0], [f"{path.name} not read, since {paths[0].name} exists" for path in paths[1:]]


def _findings(table: CsvTable) -> np.ndarray:
    """Return (N, 15) uint8, 1 for every finding that the column ``Finding Labels`` names."""
    place = {name: k for k, name in enumerate(FINDINGS)}

    def read(where: str, text: str) -> np.ndarray:
        names = [name.strip() for name in text.split("|")]
        if unknown := [name for name in names if name not in place]:
            problem = f"'{unknown[0]}' is not one of {', '.join(FINDINGS)}"
            raise DataError(where, problem, "Correct the table.")
        if NO_FINDING in names and len(names) > 1:
            raise DataError(where, f"'{text}' names {NO_FINDING} beside a finding", "Correct the table.")
        return np.isin(np.arange(len(FINDINGS)), [place[name] for name in names]).astype(np.uint8)

    table.filled("finding labels")
    return table.each("finding labels", read)


def _patients(table: CsvTable) -> np.ndarray:
    """Return (N,) str of eight digits, with which the file's name begins too.

    Raises:
        DataError: an id that is no number, or not that of the file's name.
    """
    ids = table.identifiers("patient id")
    padded = np.char.zfill(ids, 8)
    odd = ~np.char.isdigit(ids) | (padded != table.text("image index").astype("<U8"))
    if odd.any():
        k = int(odd.argmax())
        problem = f"'{ids[k]}' is not the patient of '{table.text('image index')[k]}'"
        raise table.fault(k, "Patient ID", problem, "Take the table from the dataset's own site.")
    return padded


def _ages(table: CsvTable) -> tuple[np.ndarray, list[str]]:
    """Return (N,) years from 58, 058Y, 013M or 004D; impossible ages count as unknown, with a note."""
    age = table.each("patient age", _years)
    odd = np.flatnonzero(age > OLDEST)
    ages, names = table.text("patient age")[odd], table.text("image index")[odd]
    examples = folder_tree.first_of([f"{text} of {name}" for text, name in zip(ages, names, strict=True)])
    age[odd] = np.nan
    return age, [f"{len(odd)} ages over {OLDEST} years counted as unknown: {examples}"] if len(odd) else []


def _years(where: str, text: str) -> float:
    match = _AGE.fullmatch(text)
    return float(match[1]) * YEARS[match[2].upper()] if match else number_or_nan(where, text)


def _splits(params: Params, table: CsvTable) -> tuple[np.ndarray | None, list[str]]:
    """Return (N,) ``train``, ``test``, or empty for an image on no list; None if the task divides."""
    if params.split == "drawn":
        return None, []
    names = table.text("image index")
    split = np.full(len(table), "", dtype="<U5")
    for part, name in LISTS.items():
        path = params.root / name
        try:
            listed = path.read_text(encoding="utf-8-sig").split()
        except (OSError, UnicodeDecodeError):
            remedy = "Add the official list, or --set split=drawn."
            raise DataError(str(path), "cannot be read", remedy) from None
        members = np.isin(names, listed)
        if (both := np.flatnonzero(members & (split != ""))).size:
            shared = folder_tree.first_of(names[both].tolist())
            problem = f"lists {len(both)} images that the other list has too: {shared}"
            raise DataError(str(path), problem, "Take the lists from the dataset's own site.")
        split[members] = part
    others = names[split == ""].tolist()
    note = f"{len(others)} records left out, on no official list: {folder_tree.first_of(others)}"
    return split, [note] if others else []


def _single(images: ImageSet) -> tuple[ImageSet, list[str]]:
    """Return the images with exactly one of the classes, labeled by its index."""
    label_count = images.label.sum(axis=1)
    single = images.select(np.flatnonzero(label_count == 1))
    counts = {"no class": int((label_count == 0).sum()), "several classes": int((label_count > 1).sum())}
    notes = [f"{n} images left out, labels single: {kind}" for kind, n in counts.items() if n]
    return replace(single, label=single.label.argmax(axis=1).astype(np.int64)), notes
