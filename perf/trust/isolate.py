"""Attacks of a generator from outside on the run that fits it, and the seconds that its sandbox costs.

    python -m perf.trust.isolate

Prints one line per attack, at the level that this machine gives.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from perf.trust.rows import Row

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from benchmark.engine.sandbox.level import chosen_level
from support.attack_files import ATTACKS, EXCESSES
from support.attacks import Scene, as_expected, attack
from support.generator_jobs import Jobs, small_splits
from support.samples import ROOT

OVERHEAD_SECONDS = 5.0  # a node of a real fit takes minutes
REPEATS = 3


def measure() -> list[Row]:
    """Attack, then measure the overhead."""
    return [*_attacks(), overhead()]


def _attacks() -> Iterator[Row]:
    level = chosen_level()
    for name in [*ATTACKS, *EXCESSES]:
        with (
            tempfile.TemporaryDirectory(prefix="trust-isolate-") as scratch,
            pytest.MonkeyPatch.context() as patch,
        ):
            outcome = attack(Scene(Path(scratch), patch), name)
        result = f"gained {', '.join(outcome.gains)}" if outcome.gains else "gained nothing"
        result += f", ended after {outcome.seconds:.0f} s"
        if outcome.error:
            result += f": {outcome.error.splitlines()[0][:100]}"
        must = "gains nothing" if name in ATTACKS else "gains nothing, ended with one error"
        yield Row(f"generator: {name} ({level})", must, result, as_expected(name, outcome))


def overhead() -> Row:
    """Return the seconds that the sandbox adds to a node, the least of several fits and drawings."""
    text = (ROOT / "examples" / "my_generator.py").read_text(encoding="utf-8")
    least = {origin: min(_seconds(text, origin) for _ in range(REPEATS)) for origin in ("builtin", "file")}
    added = (least["file"] - least["builtin"]) / 2  # a fit and a drawing
    must = f"less than {OVERHEAD_SECONDS:.0f} s per node"
    return Row(
        f"cost of the sandbox ({chosen_level()})", must, f"{added:.1f} s per node", added < OVERHEAD_SECONDS
    )


def _seconds(text: str, origin: str) -> float:
    with tempfile.TemporaryDirectory(prefix="trust-isolate-") as scratch:
        jobs = Jobs(Path(scratch), small_splits(), text=text, origin=origin)
        began = time.perf_counter()
        folder, _ = jobs.fit("fit")
        jobs.draw("draw", "a", [folder], 6)
        return time.perf_counter() - began


if __name__ == "__main__":
    for row in measure():
        print("held" if row.held else "FAILED", row.attack, row.measured, sep=" | ", flush=True)
