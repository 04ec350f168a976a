"""Conditions that a user gives: in turn, at the generator's size, refused where it does not take them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmark.errors import GeneratorError
from support.fitted_rows import fitted_row


def test_masks_are_taken_in_turn_at_the_size_of_the_generator(tmp_path):
    """Of two 32 px masks images 0, 2 and 4 get the left half, 1 and 3 the upper half, at 16 px."""
    row = fitted_row(tmp_path, ("label", "mask"), "mask=request.mask")
    left, upper = np.zeros((2, 32, 32), np.uint8)
    left[:, :16] = upper[:16] = 255
    drawn = row.draw("b", 5, {"mask": [left, upper]})
    assert drawn.mask.shape == (5, 16, 16)
    for k, mask in enumerate(drawn.mask):
        assert np.array_equal(mask, (left, upper)[k % 2][::2, ::2])


def test_each_record_has_its_own_values(tmp_path):
    """Images of mixed labels come in the order of the records, each with its own labels; numbers count
    within a label, as in a run."""
    row = fitted_row(tmp_path, ("label", "labels"), "labels=request.labels")
    labels = [[1, 0, 1], [0, 1, 0], [1, 1, 1]]
    drawn = row.draw_each(["a", "b", "a"], {"labels": labels})
    alone = row.draw("a", 2, {"labels": [labels[0], labels[2]]})
    assert np.array_equal(drawn[[0, 2]], alone.image)
    assert alone.reported_labels.tolist() == [labels[0], labels[2]]
    assert drawn[:, 0, 0].tolist() == [0, 0, 1]  # the generator draws the number of an image there


def test_seeds_differ_and_the_settings_of_torch_stay(tmp_path):
    """The seed of the fit is the default; threads and algorithms of the caller are as before."""
    row = fitted_row(tmp_path, extra="card={'seed': context.seed % 2**31}")
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    own, same, other = (row.draw("a", 2, seed=seed) for seed in (None, 0, 1))
    assert own.card == same.card != other.card
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"prompt": ["x"]}, "does not take a condition 'prompt'"),
        ({"labels": [[1, 0]]}, "labels are not one value per class"),
    ],
)
def test_a_value_that_the_generator_does_not_take_is_refused(tmp_path, given, message):
    """Before anything is drawn."""
    with pytest.raises(GeneratorError, match=message):
        fitted_row(tmp_path, ("label", "labels")).draw("a", 1, given)
