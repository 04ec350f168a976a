"""COVID-19 image data collection (Cohen et al. 2020, arXiv:2006.11988), read in its public layout.

https://github.com/ieee8023/covid-chestxray-dataset: ``metadata.csv`` beside ``images/``. The classes are
those of Schaudt et al. 2023: healthy, fungal, covid19, bacterial, viral (any virus but SARS-CoV-2).
"""

from collections import Counter
from pathlib import Path

import numpy as np
from pydantic import BaseModel, Field

from benchmark.datasets._readers import listing
from benchmark.datasets._readers.folder_tree import existing_folder, walk
from benchmark.datasets._readers.listing import Record, Use
from benchmark.datasets._readers.same_images import read_images
from benchmark.images.decoding import Fit, inside
from benchmark.images.image_set import ImageSet
from benchmark.utils.csv_file import read_csv
from benchmark.utils.csv_table import required_id
from benchmark.utils.missing import known

version = "2"
conditions = frozenset({"age", "sex", "view"})

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
    """Location of the dataset, and how it is read.

    Attributes:
        root: folder with ``metadata.csv`` and ``images/``.
        fit: ``stretch`` to a square as in Schaudt et al. 2023, Table 4, or ``pad`` with black.
        allow_missing: share of the listed images whose files may be missing, as in a partial copy of the
            dataset; they are left out with a note.
        use: intended use; images whose license forbids it are left out with a note. An image without a
            stated license is not for commercial use.
    """

    root: Path
    fit: Fit = "stretch"
    allow_missing: float = Field(0, ge=0, le=1)
    use: Use = "research"


def class_of(finding: str) -> str | None:
    """Return the class of a value of the column ``finding``, in its flat or its hierarchical form.

    >>> class_of("COVID-19, ARDS"), class_of("Pneumonia/Viral/COVID-19"), class_of("Pneumonia/Lipoid")
    ('covid19', 'covid19', None)
    """
    terms = (term.strip().lower() for term in finding.replace("/", ",").split(","))
    classes = {CLASS_OF_TERM[term] for term in terms if term in CLASS_OF_TERM}
    if classes == {"viral", "covid19"}:
        return "covid19"
    return classes.pop() if len(classes) == 1 else None


def fingerprint(params: Params) -> str:
    """Return the SHA-256 of all records of frontal radiographs with a class, and of their files.

    Raises:
        DataError: as ``images`` for the folder and the table.
    """
    records, _ = _list(params, tuple(TERMS))
    return listing.fingerprint_records(
        listing.present(listing.allowed(records, params.use)[0], params.allow_missing)[0]
    )


def images(
    params: Params, *, classes: tuple[str, ...], image_size: int, reserve_per_class: int, seed: int
) -> ImageSet:
    """Read the frontal radiographs of these classes.

    Args:
        classes: of ``TERMS``, in the task's order.
        image_size: side in pixels.
    Raises:
        UnknownNameError: a class that this dataset does not have.
        DataError: the folder, the table, an id or an image is missing or broken, or no license of a class
            allows the use.
    """
    listing.check_classes(classes, TERMS, "covid_chestxray")
    listed, notes = _list(params, classes)
    records, forbidden = listing.allowed(listed, params.use)
    listing.refuse_vanished(listed, records, classes, params.use, "source covid_chestxray")
    records, missing = listing.present(records, params.allow_missing)
    read = read_images(
        records, classes, image_size, source="covid_chestxray", fit=params.fit, same_patient=SAME_PATIENT
    )
    licenses = read.license if read.license is not None else np.array([])
    return listing.with_card(
        read,
        [*notes, *forbidden, *missing, *read.card["notes"]],
        name="COVID-19 image data collection",
        url="https://github.com/ieee8023/covid-chestxray-dataset",
        citation="Cohen et al. 2020, arXiv:2006.11988",
        licenses=dict(sorted(Counter(str(name) or "not stated" for name in licenses).items())),
        fit=params.fit,
    )


def _list(params: Params, classes: tuple[str, ...]) -> tuple[list[Record], list[str]]:
    """Return the records of the classes, and notes on the others."""
    existing_folder(params.root)
    records: list[Record] = []
    no_view: Counter[str] = Counter()
    no_class: Counter[str] = Counter()
    listed = set()
    for where, cells in read_csv(params.root / "metadata.csv", COLUMNS, FURTHER).records():
        label = class_of(cells["finding"])
        listed.add(f"{cells.get('folder') or 'images'}/{cells['filename']}")
        if cells["modality"].lower() != "x-ray" or cells["view"].lower() not in FRONTAL:
            no_view[f"{cells['modality']} {cells['view']}".strip() or "unknown"] += 1
        elif label not in classes:
            no_class[cells["finding"] or "unknown"] += 1
        else:
            records.append(_record(params.root, where, cells, str(label)))
    beside = walk(params.root, ["images"]).notes(listed) if (params.root / "images").is_dir() else []
    return records, [
        *listing.left_out("not a frontal radiograph", no_view),
        *listing.left_out("finding not among the classes", no_class),
        *beside,
    ]


def _record(root: Path, where: str, cells: dict[str, str], label: str) -> Record:
    name = cells["filename"]
    return Record(
        where=where,
        path=inside(root, f"{cells.get('folder') or 'images'}/{name}" if name else "", f"{where}: filename"),
        image_id=name,
        patient_id=required_id(f"{where}: patientid", cells["patientid"]),
        label=label,
        view=cells["view"],
        age=listing.age_or_nan(cells.get("age", "")),
        sex=known(cells.get("sex", "")),
        site=known(cells.get("location", "")),
        license=known(cells.get("license", "")),
    )
