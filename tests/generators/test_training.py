"""Batches, averaged weights, and the keeping of states."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from benchmark.errors import GeneratorError
from benchmark.generators import _training as training
from support.fit_context import FakeContext

POSITION = np.array([0] * 80 + [1] * 20)


@pytest.mark.parametrize(("balance", "share"), [(0.0, 0.2), (0.5, 1 / 3), (1.0, 0.5)])
def test_balance_decides_the_share_of_the_rare_class(balance: float, share: float) -> None:
    """20 of 100 images: a fifth of the draws at balance 0, a half at 1, n ** 0.5 apart in between."""
    drawn = training.draw_batch(POSITION, 20_000, 0, 0, balance)
    assert (POSITION[drawn] == 1).mean() == pytest.approx(share, abs=0.015)


def test_batches_depend_on_seed_and_step_alone() -> None:
    """The same step gives the same batch, another step or seed another."""

    def draw(step: int, seed: int) -> list[int]:
        return training.draw_batch(POSITION, 8, step, seed, 0.0).tolist()

    assert draw(3, 1) == draw(3, 1)
    assert draw(3, 1) != draw(4, 1)
    assert draw(3, 1) != draw(3, 2)


def test_pixels_survive_the_way_to_the_network_and_back() -> None:
    """All 256 grays come back as they were, and 0 and 255 are -1 and 1."""
    image = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    inside = training.to_network(image, "cpu")
    assert inside.min() == -1
    assert inside.max() == 1
    assert np.array_equal(training.to_pixels(inside), image)


def test_average_follows_the_live_weights() -> None:
    """At first a tenth of the old is kept; later the decay itself, so the weights lag behind."""
    average, live = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    nn.init.constant_(average.weight, 0.0)
    nn.init.constant_(live.weight, 1.0)
    training.update_average(average, live, decay=0.99, updates=0)
    assert average.weight.item() == pytest.approx(0.9)
    training.update_average(average, live, decay=0.99, updates=10_000)
    assert average.weight.item() == pytest.approx(0.901)


def test_seeded_weights_leave_the_global_state() -> None:
    """The same seed gives the same weights, and torch's global generator does not move."""
    before = torch.get_rng_state()
    found = []
    for _ in range(2):
        with training.seeded_weights(4):
            found.append(nn.Linear(3, 3).weight.detach().clone())
    assert torch.equal(found[0], found[1])
    assert torch.equal(torch.get_rng_state(), before)


def test_states_are_kept_at_most_every_so_often(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """First after 20 s; a state that took 1.5 s to save is worth 30 s: three states in 96 s."""
    clock = iter(np.arange(0.0, 10_000.0, 1.5))
    monkeypatch.setattr("benchmark.generators._training.time.monotonic", lambda: next(clock))
    context = FakeContext(tmp_path)
    keeper = training.Keeper(context)
    saved = []
    for step in range(60):
        keeper.keep(step, {})
        saved.append(context.saved)
    assert saved[12] == 0
    assert saved[13] == 1
    assert saved[-1] == 3


def test_a_loss_that_is_not_finite_is_an_error() -> None:
    """NaN stops the fit with the step and the remedy."""
    training.check_finite(1.0, "x", 7)
    with pytest.raises(GeneratorError, match="nan at step 7"):
        training.check_finite(float("nan"), "x", 7)
