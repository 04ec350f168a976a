"""Verbs that draw from a fitted generator of a run, and that hand it to other software."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.cli.options import WHERE
from benchmark.cli.requests import ExportRequest, SampleRequest
from benchmark.errors import BenchmarkError, unknown_name
from benchmark.experiments.drawn_folder import PROMPTED, TABLE, write_images
from benchmark.experiments.fitted_row import FittedRow, open_row
from benchmark.experiments.lesions.drawn_lesions import draw_lesions
from benchmark.experiments.lesions.lesion_request import read_lesion
from benchmark.experiments.library_folder import write_library_folder
from benchmark.experiments.mlflow_model import log_model, model_arguments, save_model
from benchmark.experiments.run_record import read_record
from benchmark.images.decoding import decode_bytes
from benchmark.images.image_set import ImageSet
from benchmark.utils.files import atomic_folder, disk_errors
from benchmark.utils.formatting import plural
from benchmark.utils.outputs import require_new_folder

PICTURES = (".png", ".jpg", ".jpeg")


def sample(request: SampleRequest) -> int:
    """Draw images of every requested label."""
    require_new_folder(request.out)
    row = open_row(
        request.run, request.row, fit_seed=request.fit_seed, fold=request.fold, device=request.device
    )
    seed = row.fit_seed if request.seed is None else request.seed
    drawn: Iterable[tuple[str, ImageSet]]
    if request.lesion:
        drawn = [_lesions(request, row, seed)]
    else:
        given = _given(request, row)
        labels = _labels(request, row).items()
        drawn = ((name, row.draw(label, request.count, given, seed)) for name, label in labels)
    with disk_errors(request.out), atomic_folder(request.out) as part:
        count = write_images(part, row, drawn, seed)
    print(f"{plural(count, 'image')} of row {row.name}: {request.out / TABLE}")
    return 0


def _lesions(request: SampleRequest, row: FittedRow, seed: int) -> tuple[str, ImageSet]:
    """Return the images of requested lesions, and the name of their folder.

    Raises:
        BenchmarkError: another option says what to draw, too.
    """
    others = ("label", "labels", "mask", "prompt", "condition")
    if also := [name for name in others if getattr(request, name)]:
        raise BenchmarkError(
            WHERE, f"--lesion and --{also[0]} both say what to draw", "Leave one of them out."
        )
    lesions = [read_lesion(text) for text in request.lesion]
    findings = "+".join(dict.fromkeys(lesion.finding for lesion in lesions))
    return findings, draw_lesions(row, lesions, request.count, seed)


def _labels(request: SampleRequest, row: FittedRow) -> dict[str, str]:
    """Return the labels to draw, by the name of their folder."""
    if request.label:
        return {label: label for label in request.label}
    if request.labels:
        return {request.labels[0]: request.labels[0]}  # the one that the image must show
    if request.prompt is not None and not row.reads_label:
        return {PROMPTED: row.labels[0]}
    return {label: label for label in row.labels}


def _given(request: SampleRequest, row: FittedRow) -> dict[str, Any]:
    """Return the conditions of a command line; the row refuses those that it does not take."""
    given: dict[str, Any] = {}
    for text in request.condition:
        name, equals, value = text.partition("=")
        if not equals or not value:
            raise BenchmarkError(WHERE, f"--condition: '{text}' is not of the form name=value")
        given[name.strip()] = [_number(text) if name == "age" else value]
    if request.prompt is not None:
        given["prompt"] = [request.prompt]
    if request.mask is not None:
        given["mask"] = _masks(request.mask)
    if request.labels:
        classes = row.learned.classes
        if odd := [label for label in request.labels if label not in classes]:
            raise unknown_name("label", odd[0], list(classes), "--labels")
        given["labels"] = [[int(name in request.labels) for name in classes]]
    row.columns(given)
    return given


def _number(text: str) -> float:
    try:
        return float(text.partition("=")[2])
    except ValueError:
        raise BenchmarkError(WHERE, f"--condition: '{text}' is not a number") from None


def _masks(path: Path) -> list[np.ndarray]:
    """Return the pixels of a picture, or of all in a folder.

    Raises:
        BenchmarkError: there is none, or one cannot be read.
    """
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    pictures = [file for file in files if file.suffix.lower() in PICTURES]
    if not pictures:
        raise BenchmarkError(f"--mask {path}", "is no picture, nor a folder of pictures", "Give PNG files.")
    masks = [np.asarray(decode_bytes(file.read_bytes(), str(file), blank=True)) for file in pictures]
    return [np.where(mask > mask.max() / 2, 255, 0).astype(np.uint8) for mask in masks]


def export(request: ExportRequest) -> int:
    """Write a fitted generator as a model of diffusers, peft or MLflow."""
    if request.register and request.format != "mlflow":
        raise BenchmarkError(WHERE, "--register needs --format mlflow", "Leave it out.")
    require_new_folder(request.out)
    row = open_row(request.run, request.row, fit_seed=request.fit_seed, fold=request.fold)
    if request.label and request.label not in row.labels:
        raise unknown_name("label", request.label, list(row.labels), f"row '{row.name}'")
    record = read_record(request.run)
    own = record.rows[row.name]
    about = {name: getattr(record, name) for name in ("task", "profile", "source", "data_kind")}
    about |= {"title": own.card["title"], "license": own.card["license"], "row": row.name}
    about |= {"fit_seed": row.fit_seed, "protocol_hash": record.protocol_hash}
    if request.format != "mlflow":
        formats = {"formats": own.formats}
        with disk_errors(request.out):
            write_library_folder(row, request.format, request.out, about | formats, request.label)
    else:
        with disk_errors(request.out), model_arguments(row, about) as arguments:
            save_model(request.out, arguments)
            print(f"logged: {log_model(row.name, record.mlflow_run, request.register, arguments)}")
        if request.register:
            print(f"registered: {request.register}")
    print(f"model: {request.out}")
    return 0
