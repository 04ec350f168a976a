"""Requests and samples as plain values and safetensors, to cross the pipe of a sandbox."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from benchmark.plugins.generator import SampleRequest, Samples

ARRAYS = "arrays.safetensors"
TEXTS = ("patient_id", "source_id")  # columns of samples
MOST_TEXT, MOST_CARD = 300, 100_000  # characters


def write_request(request: SampleRequest, path: Path) -> dict[str, Any]:
    """Write the arrays of a request, and return the rest of it."""
    columns = {
        f.name: getattr(request, f.name) for f in fields(request) if f.name not in ("classes", "image_size")
    }
    numbers, texts = {}, {}
    for name, column in columns.items():
        if column is None:
            continue
        array = np.asarray(column)
        if array.dtype.kind in "biuf":
            numbers[name] = np.ascontiguousarray(array)
        else:
            texts[name] = {"values": array.tolist(), "objects": array.dtype.kind == "O"}
    save_file(numbers, path)
    return {"classes": list(request.classes), "image_size": request.image_size, "texts": texts}


def read_request(value: Mapping[str, Any], path: Path) -> SampleRequest:
    """Read what ``write_request`` wrote."""
    texts = {n: np.array(t["values"], object if t["objects"] else None) for n, t in value["texts"].items()}
    return SampleRequest(
        classes=tuple(value["classes"]), image_size=value["image_size"], **load_file(path), **texts
    )


def write_samples(samples: Any, path: Path) -> dict[str, Any]:
    """Write the arrays of samples, and return the rest; of anything else, the name of its type."""
    if not isinstance(samples, Samples):
        return {"type": type(samples).__name__}
    columns = {name: getattr(samples, name) for name in ("image", "mask", "labels")}
    arrays = {n: np.ascontiguousarray(np.asarray(c)) for n, c in columns.items() if c is not None}
    save_file(arrays, path)
    texts = {name: getattr(samples, name) for name in TEXTS}
    texts = {n: np.asarray(t).astype(str).tolist() for n, t in texts.items() if t is not None}
    return {"type": "Samples", "card": dict(samples.card), "texts": texts}


class Malformed(ValueError):
    """Samples from a sandbox are not of the form that ``write_samples`` gives them."""


def read_samples(value: Any, files: Mapping[str, Path]) -> Samples | None:
    """Read what ``write_samples`` wrote, as data of a stranger; None for another type than samples.

    Raises:
        Malformed: it is of another form.
    """
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        raise Malformed("no description of its samples")
    if value["type"] != "Samples":
        return None
    card, texts = value.get("card"), value.get("texts")
    if not isinstance(card, dict) or not isinstance(texts, dict) or set(texts) - {*TEXTS}:
        raise Malformed("a card or columns of another type")
    if len(repr(card)) > MOST_CARD:
        raise Malformed(f"a card of more than {MOST_CARD} characters")
    for name, column in texts.items():
        short = isinstance(column, list) and all(isinstance(t, str) and len(t) <= MOST_TEXT for t in column)
        if not short or not all(t.isprintable() for t in column):
            raise Malformed(f"{name} that is no list of short texts")
    try:
        arrays = load_file(files[ARRAYS])
    except Exception as error:  # safetensors raises its own kinds
        raise Malformed(f"no readable arrays: {error}") from None
    if "image" not in arrays or set(arrays) - {"image", "mask", "labels"}:
        raise Malformed(f"the arrays {sorted(arrays)}")
    return Samples(**arrays, **{name: np.array(column) for name, column in texts.items()}, card=card)
