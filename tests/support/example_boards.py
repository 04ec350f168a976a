"""Two example boards: five classes with a gated generator, and a binary task with submitted samples."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from benchmark.bundles.io import Bundle, read_bundles
from benchmark.bundles.standing import Standing
from benchmark.comparison.compare import compare
from benchmark.reporting.leaderboards.board import Board
from support.make_bundles import VARIANTS, make_bundles

SELF = Standing("self-reported", "unsigned", "", "No verification is on record.")
VERIFIED = Standing("verified", "signed", "SHA256:abc", "Checked on 2026-11-01 with release 0.1.0.")
CHANGED = Standing("changed", "unsigned", "", "bundle.json is not the one that was verified.")
FIRST, SECOND = "cxr_pneumonia-demo", "cxr_pneumothorax-lite-few.keep=0.5"
CARD = {
    "name": "ddpm",
    "title": "A diffusion model",
    "authors": ["A. Author", "B. Author"],
    "paper": "https://example.org/paper?a=1&b=2",
    "code": "",
    "license": "CC-BY-4.0",
    "training_data": "The task's training images.",
    "pretraining_data": "none",
    "attempts": 1,
    "test_access": "none",
    "hardware": "1 GPU, 3 hours",
}
COPIES = {"rate": 0.5, "interval": [0.47, 0.53], "gated": True}


def altered(bundle: Bundle, **fields: Any) -> Bundle:
    """Return the bundle with other fields in its manifest."""
    record = bundle.manifest.record()
    for name, value in fields.items():
        merge = isinstance(value, dict) and value and isinstance(record[name], dict)
        record[name] = {**record[name], **value} if merge else value
    return replace(bundle, manifest=type(bundle.manifest).model_validate(record))


def board(name: str, bundles: list[Bundle], standings: dict[str, Standing] | None = None) -> Board:
    """Return a board of these bundles; rows are self-reported unless ``standings`` has them."""
    comparison = compare((b.manifest.record(), b.predictions) for b in bundles)
    rows = {b.manifest.row.name: (standings or {}).get(b.manifest.row.name, SELF) for b in bundles}
    return Board(bundles, comparison, name, rows)


def first() -> list[Bundle]:
    """Return seven phantom rows of five classes; the generator stylegan is gated."""
    rows = ("real_only", "duplicate_real", "traditional", "oracle", "noise", "stylegan", "ddpm")
    with tempfile.TemporaryDirectory() as folder:
        bundles = read_bundles(make_bundles(Path(folder), rows, (24,) * 5, None, seeds=(0, 1)))
    return [altered(b, memorization=COPIES) if b.manifest.row.name == "stylegan" else b for b in bundles]


def second() -> list[Bundle]:
    """Return four rows of a binary task on real images; one was not run."""
    missing = {"stylegan": "no generator named 'dreambooth' is installed"}
    rows = ("real_only", "oracle", "ddpm", "stylegan")
    with tempfile.TemporaryDirectory() as folder:
        bundles = read_bundles(
            make_bundles(Path(folder), rows, seeds=(0, 1), failed=missing, variant=VARIANTS["binary"])
        )
    real = [altered(b, task="cxr_pneumothorax", profile="lite", data_kind="real") for b in bundles]
    return [
        altered(b, submission_type="samples", submission=CARD) if b.manifest.row.name == "ddpm" else b
        for b in real
    ]


@cache
def boards() -> tuple[Board, Board]:
    """Return the two boards, computed once."""
    standings = {"ddpm": VERIFIED, "stylegan": CHANGED}
    return board(FIRST, first(), standings), board(SECOND, second())
