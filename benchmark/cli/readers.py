"""``readers export`` and ``readers figure``: a reader study as a page, and its scores as a figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmark.bundles.io import read_bundles
from benchmark.bundles.previews import png
from benchmark.cli.options import WHERE
from benchmark.cli.requests import ReadersExportRequest, ReadersFigureRequest
from benchmark.comparison.csv.readers import SCALES, ReaderStudy, read_study
from benchmark.errors import BenchmarkError, StoreError, unknown_name
from benchmark.experiments.fitted_row import open_row
from benchmark.experiments.run import make_folder
from benchmark.experiments.run_record import RunRecord, read_record, result_folders
from benchmark.images import arrow
from benchmark.reporting.figures.draw import save
from benchmark.reporting.readers.figure import score_figure
from benchmark.reporting.readers.page import study_page
from benchmark.reporting.readers.protocols import PROTOCOLS, Protocol
from benchmark.reporting.readers.study import Pool, make_study, needed
from benchmark.stages.job import DATA
from benchmark.utils.commands import command
from benchmark.utils.files import disk_errors, write_text
from benchmark.utils.formatting import plural
from benchmark.utils.outputs import refuse_foreign_files

if TYPE_CHECKING:
    import pandas as pd

MARK = 'id="study"'  # of a page of this verb


def export(request: ReadersExportRequest) -> int:
    """Write the page of a study of a run's images."""
    protocol, record = PROTOCOLS[request.protocol], read_record(request.run)
    out = request.out or request.run / f"readers_{protocol.name}.html"
    refuse_foreign_files([out], out, MARK)
    rows = _rows(request, record)
    classes = open_row(request.run, rows[0]).labels
    count, of_real = needed(protocol, len(classes), request.per_class)
    previews = _previews(request.run)
    synthetic = {name: _synthetic(request, name, classes, count, previews.get(name)) for name in rows}
    real = _real(record, classes, of_real) if of_real else {}
    study = make_study(protocol, synthetic, real, request.per_class, request.seed)
    with disk_errors(out.parent):
        out.parent.mkdir(parents=True, exist_ok=True)
        write_text(out, study_page(study, record.task))
    print(f"{out}: {plural(len(study.images), 'image')} on {plural(len(study.screens), 'screen')}")
    if of_real and record.data_kind == "real":
        print("note: the page holds images of patients; pass it on as the license of the data allows")
    print(f"Open it in a browser. Analyze the saved answers with: {_next(protocol)}")
    return 0


def _next(protocol: Protocol) -> str:
    return command("stats", "readers", "--csv", f"{protocol.name}-READER.csv")


def _rows(request: ReadersExportRequest, record: RunRecord) -> Sequence[str]:
    """Return the rows to show: the requested ones, or every generator of the run."""
    known = [name for name, row in record.rows.items() if row.drawings and row.error is None]
    if odd := [name for name in request.rows if name not in known]:
        raise unknown_name("row", odd[0], known, f"--run {request.run}")
    chosen = request.rows or [name for name in known if record.rows[name].card["role"] == "generator"]
    if not chosen:
        raise StoreError(f"--run {request.run}", "has no generator with images", "Give --rows.")
    return chosen


def _previews(run: Path) -> dict[str, pd.DataFrame]:
    """Return the images that the bundles of a run show, by row; none for a run that wrote no bundles."""
    if not (run / "bundles").is_dir():
        return {}
    shown = {b.manifest.row.name: b.previews for b in read_bundles(run / "bundles")}
    return {name: table for name, table in shown.items() if table is not None}


def _synthetic(
    request: ReadersExportRequest, name: str, classes: Sequence[str], count: int, shown: pd.DataFrame | None
) -> Pool:
    """Return the images of a row: those that its bundle shows, or, of too few, new ones of its fits."""
    if shown is not None:
        pool = {c: shown["image"][shown["class"] == c].tolist() for c in classes}
        if all(len(images) >= count for images in pool.values()):
            return pool
    print(f"drawing {count} images of each class of row {name} ...", flush=True)
    row = open_row(request.run, name)
    return {c: [png(image) for image in np.asarray(row.draw(c, count).image)] for c in row.labels}


def _real(record: RunRecord, classes: Sequence[str], count: int) -> Pool:
    """Return test images of patients, of as many patients as there are."""
    for row in record.rows.values():
        for drawing in row.drawings:
            own = {DATA: drawing.inputs.get(DATA, ())}
            if {stage for stage, _ in own[DATA]} <= {"data", "pseudo_label"} and own[DATA]:
                test = arrow.read_splits(result_folders(record, own)[DATA][0]).test.to_single_label()
                places = {c: np.flatnonzero(test.label == k) for k, c in enumerate(test.classes)}
                return {c: [png(test.image[i]) for i in _of_patients(test.patient_id, places[c], count)]
                        for c in classes}  # fmt: skip
    raise StoreError(
        "readers export", "finds no row that read the real images", "Give a run with generators."
    )


def _of_patients(patients: np.ndarray, places: np.ndarray, count: int) -> list[int]:
    """Return at most ``count`` positions, the first image of every patient before any second one."""
    _, first = np.unique(patients[places], return_index=True)
    rest = np.setdiff1d(np.arange(len(places)), first)
    order: list[int] = places[np.concatenate([np.sort(first), rest])].tolist()
    return order[:count]


def figure(request: ReadersFigureRequest) -> int:
    """Draw the scores of a study, a figure for each question."""
    study = read_study(request.csv)
    questions = [question for question in study.questions if question in SCALES]
    if not questions:
        raise BenchmarkError(WHERE, f"{request.csv} has no scores", f"Expected {', '.join(SCALES)}.")
    make_folder(request.out)
    for question in questions:
        for path in save(
            score_figure(question, scores_by_class(study, question), SCALES[question]), request.out
        ):
            print(path)
    return 0


def scores_by_class(study: ReaderStudy, question: str) -> dict[str, dict[str, list[float]]]:
    """Return all scores of a question by model and class."""
    given = study.answered(question)
    return {
        model: {str(c): own[question].tolist() for c, own in given[given["model"] == model].groupby("class")}
        for model in study.models
        if (given["model"] == model).any()
    }
