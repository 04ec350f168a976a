"""Records of the images that a source lists: choosing, checking, hashing, and making an ImageSet of them."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np

from benchmark.datasets._readers.folder_tree import note_missing
from benchmark.errors import DataError, unknown_name
from benchmark.images import people
from benchmark.images.image_set import ImageSet
from benchmark.images.lazy import LazyImages
from benchmark.protocol.patients import PARTS
from benchmark.utils.hashing import sha256_file, sha256_of
from benchmark.utils.missing import is_missing, known, missing_as

LARGE = 10_000  # images; above, they are not compared, and their sizes stand for their bytes
TABLE = "metadata.csv"  # of a folder of your own
OPTIONAL = ("view", "sex", "site", "license", "split")

Use = Literal["research", "commercial"]


@dataclass(frozen=True, kw_only=True)
class Record:
    """An image, its class and its patient; an unknown text is empty, an unknown age NaN.

    Attributes:
        where: the line of the table, or the file, for errors.
        year: date of the study as a fraction of years, NaN where unknown; it stays in the source.
    """

    where: str
    path: Path
    image_id: str
    patient_id: str
    label: str
    view: str = ""
    age: float = float("nan")
    sex: str = ""
    site: str = ""
    license: str = ""
    split: str = ""
    year: float = float("nan")


AnyRecord = TypeVar("AnyRecord", bound=Record)


def forbids(license: str, use: Use) -> bool:
    """Return whether a license, in a table's words, excludes a use; an unstated one excludes commercial use.

    >>> forbids("CC BY-NC-SA 4.0", "commercial"), forbids("CC BY 4.0", "commercial"), forbids("", "research")
    (True, False, False)
    """
    words = license.lower().replace("-", " ").replace("_", " ").split()
    reserved = {"nc", "noncommercial", "research", "academic", "unknown"} & set(words)
    return use == "commercial" and (not words or bool(reserved) or "non commercial" in " ".join(words))


def allowed(records: Sequence[Record], use: Use) -> tuple[list[Record], list[str]]:
    """Return the records whose license allows a use, and a note on the others."""
    chosen = [record for record in records if not forbids(record.license, use)]
    others = Counter(record.license or "not stated" for record in records if forbids(record.license, use))
    return chosen, left_out(f"license forbids {use} use", others)


def refuse_vanished(
    before: Sequence[Record], after: Sequence[Record], classes: Iterable[str], use: Use, where: str
) -> None:
    """Raise DataError if a use leaves a class without images."""
    had, have = (Counter(record.label for record in records) for records in (before, after))
    for name in classes:
        if had[name] and not have[name]:
            problem = f"none of its {had[name]} images has a license that allows {use} use"
            remedy = "Run with --set use=research if it is, drop the class, or ask the owners."
            raise DataError(f"{where}: '{name}'", problem, remedy)


def present(records: Sequence[Record], allow_missing: float) -> tuple[list[Record], list[str]]:
    """Return the records whose file exists, and a note on the others.

    Args:
        allow_missing: share of the records whose file may be missing.
    Raises:
        DataError: more are missing; names the first.
    """
    exists = {path: path.is_file() for path in {record.path for record in records}}
    missing = [record for record in records if not exists[record.path]]
    if not missing:
        return list(records), []
    names = [record.image_id for record in missing]
    notes = note_missing(names, len(records), allow_missing, missing[0].where, missing[0].path)
    return [record for record in records if exists[record.path]], notes


def left_out(reason: str, counts: Counter[str]) -> list[str]:
    """Return a note on records that are left out, by kind, the most frequent first."""
    if not counts:
        return []
    kinds = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [f"{counts.total()} records left out, {reason}: {', '.join(f'{name} {n}' for name, n in kinds)}"]


def of_classes(
    records: Sequence[AnyRecord], classes: Sequence[str], ignored: Sequence[str], root: Path, remedy: str
) -> tuple[list[AnyRecord], list[str]]:
    """Return the records of the classes, and a note on each ignored label.

    Args:
        ignored: labels to leave out.
        remedy: for a label that is neither a class nor ignored.
    Raises:
        DataError: such a label, or no record of any class.
    """
    chosen = [record for record in records if record.label not in ignored]
    if not any(record.label in classes for record in records):
        labels = ", ".join(sorted({record.label for record in records}))
        expected = f"Expected a folder per class, or a table {TABLE} with the labels {', '.join(classes)}."
        raise DataError(str(root), f"has no image of any class; its labels are {labels}", expected)
    for record in chosen:
        if record.label not in classes and is_missing(record.label):
            raise DataError(f"{record.where}: label", missing_as(record.label), f"Fill it in. {remedy}")
        if record.label not in classes:
            error = unknown_name("label", record.label, list(classes))
            raise DataError(record.where, error.problem, f"{error.remedy} {remedy}")
    counts = Counter(record.label for record in records if record.label in ignored)
    return chosen, [f"{n} images left out, label '{name}' ignored" for name, n in sorted(counts.items())]


def check_classes(classes: Iterable[str], known: Iterable[str], source: str) -> None:
    """Raise UnknownNameError for a class that a dataset does not have."""
    for name in classes:
        if name not in known:
            raise unknown_name("class", name, list(known), f"source {source}")


def split_of(where: str, cells: Mapping[str, str]) -> str:
    """Return the split of a table's record, which may be blank; raise DataError if it is unknown."""
    name = known(cells.get("split", ""))
    if name and name not in PARTS:
        problem = f"'{name}' is not one of {', '.join(PARTS)}"
        raise DataError(f"{where}: split", problem, "Use one of these names.")
    return name


def refuse_partial_splits(records: Sequence[Record]) -> None:
    """Raise DataError if only some records have a split."""
    blank = [record for record in records if not record.split]
    if blank and len(blank) < len(records):
        raise DataError(f"{blank[0].where}: split", "is missing", "Give every record a split, or none.")


def refuse_two_splits(records: Sequence[Record], patient_of: Callable[[str], str] = str) -> None:
    """Raise DataError if the images of one patient are in two splits.

    Args:
        patient_of: the person behind a patient id, where several ids are one person's.
    """
    first: dict[str, Record] = {}
    for record in records:
        other = first.setdefault(patient_of(record.patient_id), record)
        if other.split != record.split:
            person = f"patient '{record.patient_id}'"
            if other.patient_id != record.patient_id:
                person += f", the same person as '{other.patient_id}' (they share an image),"
            problem = f"{person} is in split '{record.split}' and, {other.where}, in split '{other.split}'"
            raise DataError(record.where, problem, "Give all images of a patient one split.")


def age_or_nan(text: str) -> float:
    """Return years; a blank, ``nd`` and other texts of the public tables count as unknown."""
    try:
        return float(text)
    except ValueError:
        return float("nan")


def year_or_nan(where: str, text: str) -> float:
    """Return an ISO date as a fraction of years, NaN if missing; raise DataError for another text."""
    if is_missing(text):
        return float("nan")
    try:
        day = date.fromisoformat(text)
    except ValueError:
        remedy = "Give it in this form, or leave it blank."
        raise DataError(where, f"'{text}' is not a date such as 2020-03-31", remedy) from None
    return day.year + day.timetuple().tm_yday / 366


def doubts(records: Sequence[Record], patient: Sequence[str]) -> list[people.Oddity]:
    """Return doubtful ids of patients, and ages that contradict the dates of studies.

    Args:
        patient: id of every record as it was written, before any hash.
    """
    by_date = people.odd_dates(patient, [r.age for r in records], [r.year for r in records])
    return [*people.odd_ids(patient), *by_date]


def optional_cells(cells: Mapping[str, str], **fallback: str) -> dict[str, str]:
    """Return the texts of the optional columns of a record that are not missing, else their fallback."""
    return {name: known(cells.get(name, "")) or fallback.get(name, "") for name in OPTIONAL}


def fingerprint_records(records: Sequence[Record]) -> str:
    """Return the SHA-256 of the records' texts and of the bytes of their files, wherever these are.

    Above ``LARGE`` records the sizes of the files stand for their bytes.
    """
    large = len(records) > LARGE
    files: dict[Path, str | int] = {}
    content = []
    for r in records:
        if r.path not in files:
            files[r.path] = r.path.stat().st_size if large else sha256_file(r.path)
        texts = [r.image_id, r.patient_id, r.label, r.view, r.sex, r.site, r.license, r.split]
        content.append([texts, None if np.isnan(r.age) else r.age, files[r.path]])
    return sha256_of(content)


def image_set(
    records: Sequence[Record],
    image: np.ndarray | LazyImages,
    classes: tuple[str, ...],
    source: str,
    patient_of: Callable[[str], str] = str,
) -> ImageSet:
    """Return the ImageSet of records and their images; a column without any value is None."""

    def column(values: Iterator[str]) -> Any:
        texts = np.array(list(values), dtype=np.str_)
        return texts if (texts != "").any() else None

    age = np.array([r.age for r in records], dtype=np.float64)
    return ImageSet(
        image=image,
        label=np.array([classes.index(r.label) for r in records], dtype=np.int64),
        classes=classes,
        image_id=np.array([r.image_id for r in records], dtype=np.str_),
        patient_id=np.array([patient_of(r.patient_id) for r in records], dtype=np.str_),
        origin=np.full(len(records), f"real:{source}"),
        age=age if np.isfinite(age).any() else None,
        **{name: column(getattr(r, name) for r in records) for name in OPTIONAL},
    )


def with_card(images: ImageSet, notes: Iterable[str], **about: Any) -> ImageSet:
    """Return the images with a card: facts about the source, counts, and notes."""
    counts = {"images": images.counts(), "patients": len(images.patients())}
    return replace(images, card={**about, **counts, "notes": list(notes)})
