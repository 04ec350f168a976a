"""No generator from outside gains anything by an attack, and none takes the machine down."""

from __future__ import annotations

import pytest

from benchmark.engine.sandbox.level import works
from support.attack_files import ATTACKS, EXCESSES
from support.attacks import Scene, attack, honest

ISOLATED = ("bubblewrap", "namespaces")


@pytest.fixture(params=ISOLATED)
def scene(request, tmp_path, monkeypatch):
    """A run with secrets, at a level that isolates."""
    if not works(request.param):
        pytest.skip(f"no {request.param} here")
    monkeypatch.setenv("SYNTHTHORAX_SANDBOX", request.param)
    return Scene(tmp_path, monkeypatch)


def test_an_honest_generator_is_no_attack(scene):
    """The file without an attack is fitted and drawn from, and the scene sees no gain."""
    outcome = honest(scene)
    assert (outcome.gains, outcome.error) == ((), "")


@pytest.mark.slow
@pytest.mark.parametrize("name", ATTACKS)
def test_no_attack_gains(scene, name):
    """Whatever the generator reads, writes, sends or leaves behind, nothing of the run is touched."""
    assert attack(scene, name).gains == ()


@pytest.mark.slow
@pytest.mark.parametrize("name", EXCESSES)
def test_no_excess_takes_the_machine_down(scene, name):
    """An excess ends the generator alone, with one error that names its file, the limit and the remedy."""
    outcome = attack(scene, name)
    assert outcome.gains == ()
    assert "generator 'recorder'" in outcome.error or "is full" in outcome.error
    assert any(part in outcome.error for part in EXCESSES[name][1]), outcome.error
    assert outcome.seconds < 120
    assert len(outcome.error.splitlines()) <= 2
    assert "\x1b" not in outcome.error


@pytest.mark.slow
@pytest.mark.parametrize("name", ["the test split from the store", "environment variables and arguments"])
def test_the_attacks_are_real(name, tmp_path, monkeypatch):
    """Without isolation the test images are there for the taking, so that the proofs above mean something."""
    monkeypatch.setenv("SYNTHTHORAX_SANDBOX", "process")
    gains = attack(Scene(tmp_path, monkeypatch), name).gains
    assert bool(gains) == (name == "the test split from the store")
