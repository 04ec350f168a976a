"""Batches, averaged weights and saved states."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from benchmark.generators import _network_training as training
from benchmark.generators._network_generator import NetworkGenerator
from support.fit_context import FakeContext

POSITION = np.array([0] * 80 + [1] * 20)


class Averaging(NetworkGenerator):
    """A generator for tests of the averaged weights."""

    name = "averaging"


@pytest.mark.parametrize(("balance", "share"), [(0.0, 0.2), (0.5, 1 / 3), (1.0, 0.5)])
def test_balance_decides_the_share_of_the_rare_class(balance: float, share: float) -> None:
    """20 of 100 images are a fifth of the draws at balance 0 and a half at 1, with n ** 0.5 in between."""
    drawn = training.draw_batch(POSITION, 20_000, 0, 0, balance)
    assert (POSITION[drawn] == 1).mean() == pytest.approx(share, abs=0.015)


def test_batches_depend_only_on_seed_and_step() -> None:
    """The same step gives the same batch; another step or seed gives another."""

    def draw(step: int, seed: int) -> list[int]:
        return training.draw_batch(POSITION, 8, step, seed, 0.0).tolist()

    assert draw(3, 1) == draw(3, 1)
    assert draw(3, 1) != draw(4, 1)
    assert draw(3, 1) != draw(3, 2)


def test_pixels_round_trip_through_the_network_range() -> None:
    """All 256 grays round-trip, and 0 and 255 map to -1 and 1."""
    image = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    inside = training.to_network(image, "cpu")
    assert inside.min() == -1
    assert inside.max() == 1
    assert np.array_equal(training.to_pixels(inside), image)


def test_average_follows_the_live_weights() -> None:
    """The first update copies, the next retains 2/11 of the average, and a late one retains the decay."""
    generator, live = Averaging(SimpleNamespace(average=0.99)), nn.Linear(1, 1, bias=False)
    nn.init.constant_(live.weight, 0.0)
    generator.start_average(live)

    def averaged(weight: float) -> float:
        nn.init.constant_(live.weight, weight)
        generator.update_average(live)
        generator.average.copy_to(generator.network.parameters())
        return generator.network.weight.item()

    assert averaged(1.0) == 1
    assert averaged(0.0) == pytest.approx(2 / 11)
    generator.average.optimization_step = 10_000
    assert averaged(1.0) == pytest.approx(0.99 * 2 / 11 + 0.01)


def test_a_decay_of_zero_is_no_average() -> None:
    """The live network itself is sampled and saved (Schaudt et al. 2023, Table 3: EMA no)."""
    generator, live = Averaging(SimpleNamespace(average=0.0)), nn.Linear(50, 40)
    generator.start_average(live)
    generator.update_average(live)
    assert generator.network is live
    assert generator.averages() == {}


def test_seeded_weights_preserve_the_global_state() -> None:
    """The same seed gives the same weights and leaves torch's global generator unchanged."""
    before = torch.get_rng_state()
    weights = []
    for _ in range(2):
        with training.seeded_weights(4):
            weights.append(nn.Linear(3, 3).weight.detach().clone())
    assert torch.equal(weights[0], weights[1])
    assert torch.equal(torch.get_rng_state(), before)


def test_states_are_saved_at_intervals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first follows after 20 s. A state that takes 1.5 s to save waits 30 s: three states in 96 s."""
    clock = iter(np.arange(0.0, 10_000.0, 1.5))
    monkeypatch.setattr("benchmark.generators._network_training.time.monotonic", lambda: next(clock))
    context = FakeContext(tmp_path)
    saver = training.StateSaver(context)
    saved = []
    for step in range(60):
        saver.save_if_due(step, {})
        saved.append(context.saved)
    assert saved[12] == 0
    assert saved[13] == 1
    assert saved[-1] == 3
