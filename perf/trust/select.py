"""Selection: attempts that differ in random numbers alone, shared samples, and rows fitted to the test.

    python -m perf.trust.select [FOLDER OF BOARDS]

Prints one line per attack. The boards are the repository's, the sealed test that of a task of 32 pixels.
"""

from __future__ import annotations

import io
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from perf.trust.rows import Row

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from benchmark.bundles.identical_rows import refuse_identical
from benchmark.bundles.io import Bundle, read_bundles
from benchmark.bundles.previews import png
from benchmark.bundles.seasons import open_season
from benchmark.comparison.align import align
from benchmark.comparison.compared_rows import ComparedRows
from benchmark.errors import SubmissionError
from benchmark.statistics.selection import attempt_error, expected_maximum
from support.sealed_rows import ATTACK, sealed_plan, sealed_result

BOARDS = Path("leaderboards/results")
ATTEMPTS, COPIES, REPEATED = 20, 287, 4000


def measure(boards: Path = BOARDS) -> list[Row]:
    """Attack the boards by selection, by copies of a row, and by a generator of test patients."""
    rows = [row for folder in sorted(boards.iterdir()) for row in _of_board(folder)]
    with tempfile.TemporaryDirectory(prefix="trust-select-") as scratch:
        return [*rows, *_sealed(Path(scratch))]


def _of_board(folder: Path) -> Iterator[Row]:
    bundles = read_bundles(folder)
    yield luck(bundles, folder.name)
    yield copies(bundles, folder.name)


def luck(bundles: list[Bundle], board: str) -> Row:
    """Draw 20 equal submissions from the runs of a board, many times; compare the best with the forecast."""
    aligned = align((b.manifest.record(), b.predictions) for b in bundles)
    compared = ComparedRows(aligned, "test", aligned.protocol.primary_bracket)
    values = np.array([v.mean(-1) for v in compared.primary.values.values()])
    error = attempt_error(values, None)
    assert error is not None
    residual = values - values.mean(1, keepdims=True) - values.mean(0) + values.mean()
    rows, runs = residual.shape
    residual *= np.sqrt(rows / (rows - 1) * runs / (runs - 1))  # of the degrees of freedom
    drawn = np.random.default_rng(0).choice(residual.ravel(), (REPEATED, ATTEMPTS, runs))
    gained, shown = float(drawn.mean(2).max(1).mean()), expected_maximum(ATTEMPTS) * error
    measured = f"{100 * gained:.1f} points by luck in a simulation, {100 * shown:.1f} shown on the board"
    attack = f"{board}: the best of {ATTEMPTS} submissions that differ in random numbers"
    return Row(attack, "the gain by luck is shown beside the effect", measured, abs(gained / shown - 1) < 0.2)


def copies(bundles: list[Bundle], board: str) -> Row:
    """Submit one row's samples 287 times: reordered, encoded again, with noise, or half of them."""
    own = next(b for b in bundles if b.manifest.row.role == "generator" and not _gated(b))
    assert own.previews is not None
    rng, refused = np.random.default_rng(1), 0
    for k in range(COPIES):
        table = own.previews.sample(frac=0.5 if k % 4 == 3 else 1.0, random_state=k)
        images = [_altered(content, k % 4, rng) for content in table["image"]]
        name = own.manifest.row.model_copy(update={"name": f"copy_{k}"})
        samples = own.manifest.samples
        assert samples is not None
        samples = samples.model_copy(update={"hash": f"{k:064x}"})
        manifest = own.manifest.model_copy(update={"row": name, "samples": samples})
        shown = table.assign(image=images)
        refused += _is_refused([own, replace(own, manifest=manifest, predictions=None, previews=shown)])
    honest = not _is_refused(bundles)
    measured = f"{refused} of {COPIES} refused; the {len(bundles)} rows of the board accepted: {honest}"
    return Row(
        f"{board}: rows with the samples of another", "refused", measured, refused == COPIES and honest
    )


def _gated(bundle: Bundle) -> bool:
    """Return whether the gate refuses the row a rank, and so a copy of it too."""
    gate = bundle.manifest.memorization
    return gate is None or gate.gated


def _altered(content: bytes, how: int, rng: np.random.Generator) -> bytes:
    image = np.asarray(Image.open(io.BytesIO(content)))
    if how == 1:
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=90)
        image = np.asarray(Image.open(file))
    elif how == 2:
        image = np.clip(image + rng.integers(-1, 2, image.shape), 0, 255).astype(np.uint8)
    return png(image)


def _is_refused(bundles: list[Bundle]) -> bool:
    try:
        refuse_identical(bundles)
    except SubmissionError:
        return True
    return False


def _sealed(scratch: Path) -> Iterator[Row]:
    secret = scratch / "secret" / "s.json"
    open_season(scratch / "boards", "2027", secret)
    plan = sealed_plan(scratch)
    for row, attack, must in (
        (ATTACK.stem, "a generator that draws the public test patients", "does not hold on the sealed test"),
        ("traditional", "an honest row", "holds on the sealed test"),
    ):
        result = sealed_result(plan, row, secret, scratch / "store")
        low, high = (f"{100 * (end or 0):+.1f}" for end in (result.low, result.high))
        measured = (
            f"gain of {100 * result.gain_test:+.1f} points on test, {100 * result.gain_sealed:+.1f} on the "
            f"sealed test; difference {100 * result.difference:+.1f} [{low}, {high}]"
        )
        yield Row(attack, must, measured, result.holds is (row == "traditional"))


if __name__ == "__main__":
    for each in measure(*map(Path, sys.argv[1:2])):
        print("held" if each.held else "BROKEN", each.attack, each.must, each.measured, sep=" | ", flush=True)
