"""COVID-19 image data collection (Cohen et al. 2020, arXiv:2006.11988), read in its public layout.

https://github.com/ieee8023/covid-chestxray-dataset: ``metadata.csv`` beside ``images/``. The classes
are those of Schaudt et al. 2023: healthy, fungal, covid19, bacterial, viral (any virus but SARS-CoV-2).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
from pydantic import BaseModel, Field

from benchmark.datasets._readers.folder_tree import Use
from benchmark.datasets._readers.listing import (
    Row,
    allowed,
    existing_folder,
    fingerprint_rows,
    left_out,
    present,
    read_rows,
    refuse_vanished,
)
from benchmark.datasets._readers.tables import given, read_table
from benchmark.errors import unknown_name
from benchmark.images.decoding import Fit, inside
from benchmark.images.image_set import ImageSet

version = "2"

COLUMNS = ("patientid", "finding", "view", "modality", "filename")
FURTHER = ("folder", "age", "sex", "location", "license")
FRONTAL = ("pa", "ap", "ap supine", "ap semi erect", "ap erect")

TERMS = {
    "healthy": ("no finding",),
    "covid19": ("covid-19",),
    "bacterial": (
        "bacterial", "chlamydophila", "e.coli", "klebsiella", "legionella", "mrsa", "mycoplasma",
        "mycoplasma bacterial pneumonia", "nocardia", "staphylococcus", "streptococcus",
    ),
    "fungal": ("fungal", "aspergillosis", "invasive aspergillosis", "pneumocystis"),
    "viral": (
        "viral", "h1n1", "herpes", "herpes pneumonia", "influenza", "mers-cov", "sars",
        "swine-origin influenza a (h1n1) viral pneumonia", "varicella",
    ),
}  # fmt: skip
CLASS_OF_TERM = {term: name for name, terms in TERMS.items() for term in terms}

# One person under two ids: 285/339 and 287/340 list the same files, 97/178 the same radiographs
# from two publications (compared by eye and by correlation).
SAME_PATIENT = (("285", "339"), ("287", "340"), ("97", "178"))


class Params(BaseModel, extra="forbid", frozen=True):
    """Where the dataset lies and how it is read.

    Attributes:
        root: folder with ``metadata.csv`` and ``images/``.
        fit: ``stretch`` to a square as in Schaudt et al. 2023, Table 4, or ``pad`` with black.
        allow_missing: share of the listed pictures that may not be there, and are left out with a note;
            for partial copies of the dataset.
        use: what the pictures are for; those whose license forbids it are left out with a note. One that
            states no license is not for commercial use.
    """

    root: Path
    fit: Fit = "stretch"
    allow_missing: float = Field(0, ge=0, le=1)
    use: Use = "research"


def class_of(finding: str) -> str | None:
    """The class of a value of the column ``finding``, in its flat or its hierarchical form.

    >>> class_of("COVID-19, ARDS"), class_of("Pneumonia/Viral/COVID-19"), class_of("Pneumonia/Lipoid")
    ('covid19', 'covid19', None)
    """
    terms = (term.strip().lower() for term in finding.replace("/", ",").split(","))
    found = {CLASS_OF_TERM[term] for term in terms if term in CLASS_OF_TERM}
    if found == {"viral", "covid19"}:
        return "covid19"
    return found.pop() if len(found) == 1 else None


def fingerprint(params: Params) -> str:
    """SHA-256 over what is read: the rows of frontal radiographs with a class, and their files.

    Raises:
        DataError: as ``images`` for the folder and the table.
    """
    rows, _ = _rows(params, tuple(TERMS))
    return fingerprint_rows(present(allowed(rows, params.use)[0], params.allow_missing)[0])


def images(
    params: Params, *, classes: tuple[str, ...], image_size: int, reserve_per_class: int, seed: int
) -> ImageSet:
    """The frontal radiographs of these classes.

    Args:
        classes: of ``TERMS``, in the task's order.
        image_size: side in pixels.
    Raises:
        UnknownNameError: a class that this dataset does not have.
        DataError: the folder, the table, an id or a picture is missing or broken, or no license of a
            class allows the use.
    """
    for name in classes:
        if name not in TERMS:
            raise unknown_name("class", name, list(TERMS), "source covid_chestxray")
    found, notes = _rows(params, classes)
    rows, forbidden = allowed(found, params.use)
    refuse_vanished(found, rows, classes, params.use, "source covid_chestxray")
    rows, missing = present(rows, params.allow_missing)
    notes += [*forbidden, *missing]
    loaded = read_rows(
        rows, classes, image_size, source="covid_chestxray", fit=params.fit, same_patient=SAME_PATIENT
    )
    return replace(loaded, card={**_card(loaded, params), "notes": [*notes, *loaded.card["notes"]]})


def _rows(params: Params, classes: tuple[str, ...]) -> tuple[list[Row], list[str]]:
    """The rows of the classes, and notes on the others."""
    existing_folder(params.root)
    rows: list[Row] = []
    no_view: Counter[str] = Counter()
    no_class: Counter[str] = Counter()
    for where, field in read_table(params.root / "metadata.csv", COLUMNS, FURTHER):
        label = class_of(field["finding"])
        if field["modality"].lower() != "x-ray" or field["view"].lower() not in FRONTAL:
            no_view[f"{field['modality']} {field['view']}".strip() or "unknown"] += 1
        elif label not in classes:
            no_class[field["finding"] or "unknown"] += 1
        else:
            rows.append(_row(params.root, where, field, str(label)))
    notes = [
        *left_out("not a frontal radiograph", no_view),
        *left_out("finding not among the classes", no_class),
    ]
    return rows, notes


def _row(root: Path, where: str, field: dict[str, str], label: str) -> Row:
    folder = field.get("folder") or "images"
    return Row(
        where=where,
        path=inside(root, f"{folder}/{field['filename']}" if field["filename"] else "", f"{where}: filename"),
        image_id=field["filename"],
        patient_id=given(f"{where}: patientid", field["patientid"]),
        label=label,
        view=field["view"],
        age=_number(field.get("age", "")),
        sex=field.get("sex", ""),
        site=field.get("location", ""),
        license=field.get("license", ""),
    )


def _number(text: str) -> float:
    """The age in years; the public table has blanks and the odd text, which count as unknown."""
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _card(images: ImageSet, params: Params) -> dict[str, object]:
    licenses = images.license if images.license is not None else np.array([])
    return {
        "name": "COVID-19 image data collection",
        "url": "https://github.com/ieee8023/covid-chestxray-dataset",
        "citation": "Cohen et al. 2020, arXiv:2006.11988",
        "images": images.counts(),
        "patients": len(images.patients()),
        "licenses": dict(sorted(Counter(str(name) or "not stated" for name in licenses).items())),
        "fit": params.fit,
    }
