"""Nothing that ``verify`` refuses enters a board, and nothing is verified that no maintainer signed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from benchmark.verification.data import DataCache
from benchmark.verification.request import VerifyRequest
from support.door import Door, edited_fields, mutations
from support.door_records import record_attacks, renamed_copycat
from support.keys import AUTHOR, BUNDLE
from support.samples import TINY


def door_of(bundle: Path, folder: Path) -> Door:
    """Return the door for a bundle that its author signed."""
    honest = Path(shutil.copytree(bundle, folder / bundle.name))
    AUTHOR.sign(honest / "bundle.json")
    known = folder / "allowed_signers"
    known.write_text(AUTHOR.line(BUNDLE))
    return Door(honest, VerifyRequest(task=TINY, allowed_signers=known), DataCache(None))


@pytest.fixture(scope="session", params=["ddpm", "blurred_noise"])
def door(request, originals: Path, tmp_path_factory: pytest.TempPathFactory) -> Door:
    """A row of the suite, and a submission."""
    return door_of(originals / request.param, tmp_path_factory.mktemp("door"))


@pytest.fixture(scope="session")
def unsigned(door: Door, tmp_path_factory: pytest.TempPathFactory) -> Door:
    """The same bundle without a signature, which an edit would not survive."""
    honest = Path(shutil.copytree(door.honest, tmp_path_factory.mktemp("unsigned") / door.honest.name))
    (honest / "bundle.json.sig").unlink()
    return Door(honest, door.request, door.cache)


def test_the_honest_bundle_enters(door: Door):
    """Without an attack the door is open."""
    tally = mutations(Door(door.honest, door.request, door.cache), 0)
    door.attack("none", lambda folder: None, tally)
    assert (tally.harmless, tally.attacks) == (1, 1)


def test_an_edited_part_does_not_enter(unsigned: Door):
    """The first field of every part of ``bundle.json`` is refused, or listed as unverifiable."""
    tally = edited_fields(unsigned, every=False)
    assert (tally.accepted, tally.tracebacks) == ([], [])
    assert tally.attacks == len(json.loads((unsigned.honest / "bundle.json").read_text()))


def test_no_damaged_bundle_enters(door: Door):
    """Random damage of JSON, tables, pictures, cards and archives is one line, and makes no claim."""
    tally = mutations(door, 32)
    assert (tally.accepted, tally.tracebacks) == ([], [])
    assert tally.refused > 20


def test_no_forged_record_counts(unsigned: Door, tmp_path: Path):
    """No record or origin counts without the signature of a maintainer over this very bundle."""
    outcomes = list(record_attacks(unsigned, tmp_path))
    assert [str(o) for o in outcomes if not o.held] == []
    assert len(outcomes) == 13


def test_a_renamed_copycat_does_not_enter(unsigned: Door, tmp_path: Path):
    """Its images are too close to training images for the reported rate."""
    outcome = renamed_copycat(unsigned, tmp_path)
    assert isinstance(outcome.result, str)
    assert "memorization" in outcome.result


@pytest.mark.slow
def test_no_edited_field_enters(unsigned: Door):
    """The same for every field of both bundles, 242 and more."""
    tally = edited_fields(unsigned)
    print(tally)
    assert (tally.accepted, tally.tracebacks) == ([], [])
    assert tally.attacks > 120


@pytest.mark.slow
def test_no_damaged_bundle_enters_by_the_thousand(door: Door):
    """The same for 1000 damaged copies of each bundle."""
    tally = mutations(door, 1000, seed=1)
    print(tally)
    assert (tally.accepted, tally.tracebacks) == ([], [])
