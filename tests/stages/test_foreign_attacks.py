"""No generator from outside gains anything by an attack, and none takes the machine down."""

from __future__ import annotations

import time

import pytest

from benchmark.engine.sandbox.level import works
from support.attack_files import ATTACKS, EXCESSES
from support.attacks import Scene, as_expected, attack, honest

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
    outcome = attack(scene, name)
    assert as_expected(name, outcome), outcome


@pytest.mark.slow
@pytest.mark.parametrize("name", EXCESSES)
def test_no_excess_takes_the_machine_down(scene, name):
    """An excess ends the generator alone, with one error that names its file, the limit and the remedy."""
    outcome = attack(scene, name)
    assert as_expected(name, outcome), outcome
    assert "generator 'recorder'" in outcome.error or "is full" in outcome.error
    assert outcome.seconds < 120
    assert len(outcome.error.splitlines()) <= 2
    assert "\x1b" not in outcome.error


# what a separate process alone lets through, and what it stops
EXPOSED = {
    "the test split from the store": True,
    "a sibling row's samples": True,
    "the network and sockets of the host": True,
    "a link in the saved folder": True,
    "patch the evaluator": False,
    "a pickle as state and in the saved folder": False,
    "environment variables and arguments": False,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPOSED)
def test_the_attacks_are_real(name, tmp_path, monkeypatch):
    """Without isolation images and network are there for the taking, so the proofs mean something."""
    monkeypatch.setenv("SYNTHTHORAX_SANDBOX", "process")
    outcome = attack(Scene(tmp_path, monkeypatch), name)
    assert bool(outcome.gains) == EXPOSED[name]


@pytest.mark.slow
def test_no_process_survives_even_without_isolation(tmp_path, monkeypatch):
    """A process that left its session and lost its parent is ended with the stage."""
    monkeypatch.setenv("SYNTHTHORAX_SANDBOX", "process")
    scene = Scene(tmp_path, monkeypatch)
    outcome = attack(scene, "a thread and a process that survive")
    assert outcome.gains == ("a file outside",)  # which it wrote while it was allowed to run
    scene.marker.unlink()
    time.sleep(1)
    assert not scene.marker.exists()
