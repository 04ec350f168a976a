"""Attacks on the door of the leaderboards: what ``leaderboard --add`` takes, and what a record is worth.

    python -m perf.trust.door [MUTATIONS]

Prints one line per attack. The bundles are the tests' own, of a task of 32 pixels.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from perf.trust.rows import Row

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from benchmark.verification.data import DataCache, recompute_data
from benchmark.verification.request import VerifyRequest
from support.door import Door, Tally, edited_fields, mutations
from support.door_records import record_attacks, renamed_copycat
from support.honest import CARD, tiny_protocol, write_honest
from support.inflated import outcomes
from support.keys import AUTHOR, BUNDLE
from support.samples import TINY

MUTATIONS = 2000


def measure(count: int = MUTATIONS) -> list[Row]:
    """Attack a row of the suite and a submission."""
    return list(measured(count))


def measured(count: int) -> Iterator[Row]:
    """Yield each row when it is ready."""
    with tempfile.TemporaryDirectory(prefix="trust-door-") as scratch:
        yield from _rows(Path(scratch), count)


def _rows(scratch: Path, count: int) -> Iterator[Row]:
    store = scratch / "store"
    data = recompute_data(tiny_protocol(), None, store)
    write_honest(scratch / "ddpm", data)
    write_honest(scratch / "blurred_noise", data, submission_type="samples", submission=CARD)
    known = scratch / "allowed_signers"
    known.write_text(AUTHOR.line(BUNDLE))
    request, cache = VerifyRequest(task=TINY, allowed_signers=known), DataCache(None, store)
    doors = [Door(scratch / name, request, cache) for name in ("ddpm", "blurred_noise")]
    zero = "0 accepted that verify refuses, 0 tracebacks"
    forged = [*record_attacks(doors[0], scratch), renamed_copycat(doors[0], scratch)]
    passed = [str(o) for o in forged if not o.held]
    measured = f"{len(forged)} attacks, {len(passed)} counted {'; '.join(passed)}".strip()
    yield Row("forged records, false origins, a renamed copycat", "0 count", measured, not passed)
    for name, recorded, doubted in outcomes(doors[0].honest, scratch / "inflated"):
        must = "doubted, not recorded"
        measured = f"{'doubted' if doubted else 'not doubted'}, {'recorded' if recorded else 'not recorded'}"
        yield Row(f"+4 points on every run, other hardware named, {name}", must, measured, measured == must)
    yield _row("every field of bundle.json edited in turn", zero, _joined([edited_fields(d) for d in doors]))
    signed = [Door(_signed(d.honest, scratch / "signed"), request, cache) for d in doors]
    damaged = [mutations(d, count // len(signed)) for d in signed]
    yield _row("random damage of JSON, tables, pictures, cards, archives", zero, _joined(damaged))


def _signed(bundle: Path, into: Path) -> Path:
    copy = Path(shutil.copytree(bundle, into / bundle.name))
    AUTHOR.sign(copy / "bundle.json")
    return copy


def _joined(tallies: list[Tally]) -> Tally:
    return Tally(
        sum(t.refused for t in tallies),
        sum(t.harmless for t in tallies),
        [name for t in tallies for name in t.accepted],
        [name for t in tallies for name in t.tracebacks],
    )


def _row(attack: str, must: str, tally: Tally) -> Row:
    broken = "".join(f"; {name}" for name in tally.accepted + tally.tracebacks)
    return Row(attack, must, f"{tally}{broken}", tally.held)


if __name__ == "__main__":
    for row in measured(int(sys.argv[1]) if sys.argv[1:] else MUTATIONS):
        line = f"{'held' if row.held else 'BROKEN':<8}{row.attack}: {row.measured} (must be: {row.must})"
        print(line, flush=True)
