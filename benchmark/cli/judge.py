"""``judge``: two folders of images, one page; no task and no training."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmark.cli.options import WHERE
from benchmark.cli.requests import JudgeRequest
from benchmark.datasets._readers.folder_tree import existing_folder, first_of, in_order, walk
from benchmark.errors import BenchmarkError, DataError
from benchmark.images.color import TINTED, chroma
from benchmark.images.decoding import read_gray
from benchmark.images.image_set import ImageSet
from benchmark.metrics.extractor.features import features, resolve
from benchmark.metrics.judging.copies import judge_copies
from benchmark.metrics.judging.fidelity import fidelity
from benchmark.metrics.judging.record import FolderCard, Judgement
from benchmark.reporting.judgement.page import MARK, judgement_page
from benchmark.utils.csv_file import read_csv
from benchmark.utils.environment import hardware, software
from benchmark.utils.files import disk_errors, write_json, write_text
from benchmark.utils.outputs import refuse_foreign_files

FEWEST = 4  # images of a folder: a half of them has two
FEW = 50  # patients, or synthetic images, below which a page warns
MOST = 2000  # images of a folder that are compared, spread over it
MOST_COLORS = 500  # files whose color is measured
NOT_CHECKED = ("Text and markers that are burnt into images: the suite has no detector for them.",)


@dataclass(frozen=True, eq=False)
class Folder:
    """The images of a folder, and what is known of it."""

    images: ImageSet
    card: FolderCard


def judge(request: JudgeRequest) -> int:
    """Judge the synthetic images, and write ``judgement.html`` and ``judgement.json``."""
    page, record = request.out / "judgement.html", request.out / "judgement.json"
    refuse_foreign_files([page, record], record, MARK)
    extractor = resolve(request.extractor)

    patient = _patients(request)
    real = read_folder(request.real, "real", request.size, patient)
    synthetic = read_folder(request.synthetic, "synthetic", request.size, str)
    unseen = read_folder(request.unseen, "unseen", request.size, patient) if request.unseen else None
    _refuse_shared(real, unseen)
    print(f"features of {extractor} ...", flush=True)
    vectors = [features(side.images.image, extractor) for side in (real, synthetic)]
    print("fidelity, density and coverage ...", flush=True)
    result = fidelity(vectors[0], real.images.patient_id, vectors[1])
    print("copies ...", flush=True)
    copies, pairs = judge_copies(real.images, synthetic.images, unseen.images if unseen else None)
    judgement = Judgement(
        real=real.card, synthetic=synthetic.card, unseen=unseen.card if unseen else None,
        extractor=extractor, image_size=request.size,
        figures=result.figures,
        floor_images=result.floor_images, copies=copies, not_checked=NOT_CHECKED,
        warnings=_warnings(real.card, synthetic.card, copies),
        environment={"software": software(), "hardware": hardware("cpu")},
    )  # fmt: skip
    with disk_errors(request.out):
        request.out.mkdir(parents=True, exist_ok=True)
        write_json(record, judgement.model_dump(mode="json"))
        write_text(page, judgement_page(judgement, real.images, synthetic.images, pairs))
    for figure in judgement.figures:
        floor = "" if figure.floor is None else f"; halves {figure.halves:.3g}, floor {figure.floor:.3g}"
        print(f"{figure.name:<10}{figure.estimate:.4g} [{figure.low:.4g}, {figure.high:.4g}]{floor}")
    print(f"copies    {copies['rate']:.1%} of {copies['n']}: {'COPIES' if copies['gated'] else 'none shown'}")
    for warning in judgement.warnings:
        print(f"warning: {warning}")
    print(f"page: {page}\nJSON: {record}")
    return 0


def _patients(request: JudgeRequest) -> Callable[[str], str]:
    """Return the function from the name of a real file to its patient.

    Raises:
        BenchmarkError: two ways are given, or the table is wrong.
    """
    separator = request.patient_separator
    if request.patients is None:
        return (lambda name: Path(name).stem.split(separator)[0]) if separator else str
    if separator:
        raise BenchmarkError(WHERE, "--patients and --patient-separator exclude each other", "Leave one out.")
    table = read_csv(request.patients, ("image", "patient_id"))
    known = dict(zip(table.filled("image").tolist(), table.filled("patient_id").tolist(), strict=True))

    def patient(name: str) -> str:
        if name not in known:
            problem = f"has no record of the image '{name}'"
            raise DataError(str(request.patients), problem, "Add it, with its path in the folder.")
        return str(known[name])

    return patient


def read_folder(folder: Path, role: str, size: int, patient: Callable[[str], str]) -> Folder:
    """Read the images of a folder and of the folders in it.

    Args:
        patient: from the name of a file to the patient's id.
    Raises:
        DataError: no folder, too few images, or one that cannot be read.
    """
    existing_folder(folder)
    tree = walk(folder)
    tree.refuse_outside()
    names = in_order(tree.size)
    if len(names) < FEWEST:
        problem = f"has {len(names)} images (PNG, JPEG or GIF), expected at least {FEWEST}"
        raise DataError(f"--{role} {folder}", problem, "Give a folder of image files.")
    chosen = _spread(names, MOST)
    print(f"{role}: {len(chosen)} of {len(names)} images in {folder}", flush=True)
    pixels = np.stack([read_gray(folder / name, size) for name in chosen])
    patients = [patient(name) for name in chosen]
    colored = _spread(chosen, MOST_COLORS)
    tinted = [name for name in colored if chroma(folder / name) > TINTED]
    images = ImageSet(
        image=pixels,
        label=np.zeros(len(chosen), np.int64),
        classes=("image",),
        image_id=np.array(chosen),
        patient_id=np.array(patients),
        origin=np.full(len(chosen), role),
    )
    notes = [f"{len(tinted)} of {len(colored)} images are in color: {first_of(tinted)}"] if tinted else []
    notes += [f"{len(names) - len(chosen)} images left out: {MOST} are compared"] if len(names) > MOST else []
    card = FolderCard(
        name=folder.resolve().name, images=len(chosen), patients=len(set(patients)),
        left_out=len(names) - len(chosen), tinted=len(tinted), notes=tuple(notes),
    )  # fmt: skip
    return Folder(images, card)


def _spread(names: list[str], most: int) -> list[str]:
    """Return at most some of the names, evenly spread."""
    return [names[k] for k in np.unique(np.linspace(0, len(names) - 1, min(most, len(names))).astype(int))]


def _refuse_shared(real: Folder, unseen: Folder | None) -> None:
    """Refuse images of ``--unseen`` that are also real ones, by patient or by pixels.

    Raises:
        DataError: names the first.
    """
    if unseen is None:
        return
    known, patients = {image.tobytes() for image in real.images.image}, set(real.images.patient_id.tolist())
    columns = (unseen.images.image_id, unseen.images.patient_id, unseen.images.image)
    for name, patient, image in zip(*columns, strict=True):
        if patient in patients and real.card.patients < real.card.images:
            problem = f"is of patient '{patient}', who is also among the real images"
            raise DataError(f"--unseen: {name}", problem, "Give other patients.")
        if image.tobytes() in known:
            raise DataError(f"--unseen: {name}", "is also among the real images", "Give other patients.")


def _warnings(real: FolderCard, synthetic: FolderCard, copies: dict[str, object]) -> tuple[str, ...]:
    warnings = []
    if copies["gated"]:
        warnings.append("The synthetic images contain copies of real ones.")
    if copies["blind"] and not copies["gated"]:
        warnings.append("The search for copies misses planted ones: that it shows none means nothing.")
    if real.patients < FEW:
        warnings.append(f"{real.patients} real patients are fewer than {FEW}: every figure is unstable.")
    if synthetic.images < FEW:
        warnings.append(f"{synthetic.images} synthetic images are fewer than {FEW}.")
    if real.patients == real.images:
        warnings.append(
            "Every real file counts as a patient. If patients have several images, give --patients or "
            "--patient-separator: else the floor is too low, and the search for copies misses some."
        )
    if copies["nearness"] is None:
        warnings.append("Copies too faint for a threshold are not searched for without --unseen.")
    if real.tinted != synthetic.tinted:
        warnings.append("The folders differ in tint; only the luminance is compared.")
    return tuple(warnings)
