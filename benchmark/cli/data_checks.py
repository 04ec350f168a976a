"""``data verify``: hashes, images, copies and patients of a source or a built folder."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.cli.data import build_config, target_images
from benchmark.cli.requests import CheckRequest
from benchmark.datasets._readers.folder_tree import first_of, walk
from benchmark.errors import BenchmarkError, TaskError
from benchmark.images import duplicates, people, shards
from benchmark.images.color import TINTED, chroma
from benchmark.images.copies.bank import spread
from benchmark.images.gray_levels import FEW
from benchmark.images.image_set import ImageSet
from benchmark.images.symmetries import SAME
from benchmark.utils.files import disk_errors, write_json
from benchmark.utils.hashing import sha256_file
from benchmark.utils.outputs import refuse_foreign_files

PRINTED = 5  # findings of a check that are printed
WRITTEN = 1000  # findings of a check that are in the JSON file
MOST_SEARCHED = 4000  # images among which altered copies are searched; of a quarter as many
POSSIBLE = 1.5  # score of a possible copy; 7 of 2,600 phantoms, all of different patients, exceed it
FEWEST_PATIENTS = 10  # to know what images of different patients have in common
MOST_COLORS = 2000  # files whose color is measured, spread over the folder


@dataclass(frozen=True)
class DataCheck:
    """One check, and its outcome.

    Attributes:
        ok: False if the data must not be used as they are.
        detail: the outcome in words.
        findings: every single fault; with ``ok`` they are doubts for a person to decide.
    """

    name: str
    ok: bool
    detail: str
    findings: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """The outcome and the first findings, to print."""
        more = len(self.findings) - PRINTED
        outcome = "WRONG" if not self.ok else "note" if self.findings else "ok"
        return [
            f"{self.name:<17}  {outcome:<6} {self.detail}",
            *(f"{'':20}{line}" for line in self.findings[:PRINTED]),
            *([f"{'':20}and {more} more"] if more > 0 else []),
        ]

    def record(self) -> dict[str, object]:
        """The outcome as JSON values."""
        return {
            "name": self.name, "ok": self.ok, "detail": self.detail, "count": len(self.findings),
            "findings": list(self.findings[:WRITTEN]),
        }  # fmt: skip


def verify(request: CheckRequest) -> int:
    """``data verify``: print every check; return 1 if one failed."""
    if request.out:
        refuse_foreign_files([request.out], request.out, '"checks":')
    checks = run_checks(request)
    print("\n".join(line for check in checks for line in check.lines()))
    ok = all(check.ok for check in checks)
    if request.out:
        record = {"target": request.target, "ok": ok, "checks": [check.record() for check in checks]}
        with disk_errors(request.out.parent):
            request.out.parent.mkdir(parents=True, exist_ok=True)
            write_json(request.out, record)
        print(f"result: {request.out}")
    return 0 if ok else 1


def run_checks(request: CheckRequest) -> list[DataCheck]:
    """Run all checks of a target; images that cannot be read end the list with a failed check."""
    checks: list[DataCheck] = []
    if Path(request.target).is_dir():
        checks = check_files(Path(request.target))
        if not checks[0].ok:
            return checks
    try:
        images = target_images(request)
    except TaskError:
        raise
    except BenchmarkError as error:
        return [*checks, DataCheck("images", False, str(error).replace("\n       ", " "))]
    root = None if checks else build_config(request, request.target).paths.get("root")
    return [
        *checks,
        check_patients(images),
        *check_people(images),
        *check_images(images),
        *([check_color(Path(root))] if root and Path(root).is_dir() else []),
        _doubts("notes", "notes of the source", images.card.get("notes", ())),
    ]


def _doubts(name: str, detail: str, findings: Iterable[object]) -> DataCheck:
    """Return a check that is never wrong, whose findings a person judges."""
    lines = tuple(map(str, findings))
    return DataCheck(name, True, f"{len(lines)} {detail}", lines)


def check_files(folder: Path) -> list[DataCheck]:
    """Compare the shards and the memory-mapped file of a folder with their hashes."""
    about = shards.describe(folder)
    faults = tuple(
        f"{record['file']}: SHA-256 differs from dataset.json"
        for record in about["shards"]
        if sha256_file(folder / record["file"]) != record["sha256"]
    )
    detail = f"{len(about['shards'])} shards, {about['rows']} images, {len(faults)} with another hash"
    record = shards.mapped_record(folder, about)
    if record is None:
        mapped = DataCheck("memory map", True, "not made yet from these shards; the first use makes it")
    elif sha256_file(folder / shards.MAPPED) == record["sha256"]:
        mapped = DataCheck("memory map", True, "hash agrees")
    else:
        mapped = DataCheck("memory map", False, f"hash differs; remove {shards.MAPPED}, it is made again")
    return [DataCheck("shards", not faults, detail, faults), mapped]


def check_patients(images: ImageSet) -> DataCheck:
    """Check that no patient is in two splits."""
    if images.split is None:
        detail = f"{len(images.patients())} patients, no splits in the data: the task splits by patient"
        return DataCheck("patients", True, detail)
    pairs = np.unique(np.stack([images.patient_id.astype(str), images.split.astype(str)], axis=1), axis=0)
    ids, first, count = np.unique(pairs[:, 0], return_index=True, return_counts=True)
    faults = tuple(
        f"{ids[k]}: {', '.join(pairs[first[k] : first[k] + count[k], 1])}"
        for k in np.flatnonzero(count > 1).tolist()
    )
    patients = Counter(pairs[:, 1].tolist())
    detail = ", ".join(f"{name} {n}" for name, n in sorted(patients.items()))
    return DataCheck("patients", not faults, f"{detail}; {len(faults)} in two splits", faults)


def check_people(images: ImageSet) -> list[DataCheck]:
    """Report ids that may not be one person's each, and sexes and ages that cannot be."""
    patient = images.patient_id.astype(str).tolist()
    checks = [_doubts("patient ids", "kinds of doubtful ids", people.odd_ids(patient))]
    if images.sex is not None:
        odd = people.odd_sexes(patient, images.sex.tolist())
        checks.append(_doubts("sexes", "kinds of contradictions", odd))
    if images.age is not None:
        age = pd.to_numeric(pd.Series(images.age), errors="coerce").to_numpy(np.float64)
        checks.append(_doubts("ages", "kinds of implausible ages", people.odd_ages(patient, age)))
    return checks


def check_color(root: Path) -> DataCheck:
    """Report the image files below a folder that are in color."""
    names = sorted(walk(root).size)
    some = (
        [names[k] for k in np.unique(np.linspace(0, len(names) - 1, MOST_COLORS).astype(int))]
        if names
        else []
    )
    tinted = [name for name in some if chroma(root / name) > TINTED]
    detail = f"{len(tinted)} of {len(some)} image files measured are in color (mean chroma over {TINTED:g})"
    return DataCheck("color", True, detail, (first_of(tinted),) if tinted else ())


def check_images(images: ImageSet) -> list[DataCheck]:
    """Check that every image can be decoded and has contrast, and that no copy leaks, also if mirrored,
    turned or inverted.

    A copy leaks if it is in another split. Without splits it leaks if it is of another patient, since the
    task's split by patient may separate the two. Other copies are only counted.
    """
    scan = duplicates.scan(images.image, symmetric=True)
    broken = tuple(f"{images.image_id[index]}: {fault}" for index, fault in scan.broken)
    few = tuple(str(i) for i in images.image_id[scan.indices[scan.few]])
    empty = tuple(str(i) for i in images.image_id[scan.indices[scan.empty]])
    exact = [(int(g[0]), int(other), "") for g in duplicates.same_bytes(scan) for other in g[1:]]
    _, patient = np.unique(images.patient_id, return_inverse=True)
    near = [
        (p.first, p.second, f"{', ' * (p.change != SAME)}{p.change}, correlation {p.similarity:.3f}")
        for p in duplicates.same_picture(images.image, scan, patient)
    ]
    return [
        DataCheck("images", not broken, f"{len(scan.indices)} read, {len(broken)} cannot be decoded", broken),
        DataCheck("contrast", not empty, f"{len(empty)} of one gray value throughout, or nearly", empty),
        DataCheck("gray levels", True, f"{len(few)} images have fewer than {FEW}", few),
        _check_copies("exact copies", images, exact),
        _check_copies("near copies", images, near),
        _check_altered_copies(images.select(scan.indices[~scan.empty])),
    ]


def _check_altered_copies(images: ImageSet) -> DataCheck:
    """Report images of different patients that look like altered or partial copies of one another.

    A sample of a large set is searched. A person judges the pairs: nearly empty images resemble one another.
    """
    from benchmark.images.copies.calibration import Calibration
    from benchmark.images.copies.detector import CopyDetector

    name, patients = "altered copies", len(images.patients())
    if patients < FEWEST_PATIENTS:
        return DataCheck(name, True, f"not searched: {patients} patients, it needs {FEWEST_PATIENTS}")
    known, some = spread(images, MOST_SEARCHED), spread(images, MOST_SEARCHED // 4)
    search = CopyDetector(known.image, known.patient_id)
    matches = search.match(some.image, some.patient_id)
    calibration = Calibration.of(matches.similarity)
    reference, score = calibration.reference(matches), calibration.score(matches)
    pairs = {
        tuple(sorted((_describe(some, k), _describe(known, reference[k])))): score[k]
        for k in np.flatnonzero(score > POSSIBLE)[::-1]
    }
    lines = [f"{a} and {b}, score {pairs[a, b]:.1f}" for a, b in sorted(pairs, key=lambda p: -pairs[p])]
    detail = f"possible pairs of two patients, {len(some)} of {len(images)} images searched in {len(known)}"
    return _doubts(name, detail, lines)


def _check_copies(name: str, images: ImageSet, pairs: Sequence[tuple[int, int, str]]) -> DataCheck:
    leaks: list[str] = []
    harmless: Counter[str] = Counter()
    has_splits = images.split is not None
    for a, b, note in pairs:
        other_split = images.split is not None and images.split[a] != images.split[b]
        other_patient = images.patient_id[a] != images.patient_id[b]
        if other_split or (other_patient and not has_splits):
            leaks.append(f"{_describe(images, a)} and {_describe(images, b)}{note}")
        else:
            harmless["of two patients in one split" if other_patient else "of one patient"] += 1
    kind = "in two splits" if has_splits else "of two patients"
    counts = [f"{len(leaks)} {kind}", *(f"{n} {kind}" for kind, n in sorted(harmless.items()))]
    return DataCheck(name, not leaks, ", ".join(counts), tuple(leaks))


def _describe(images: ImageSet, index: int) -> str:
    split = f" in {images.split[index]}" if images.split is not None else ""
    return f"{images.image_id[index]} (patient {images.patient_id[index]}{split})"
