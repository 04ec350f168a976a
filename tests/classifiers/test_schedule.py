"""Learning rates, plateaus and early stopping."""

from __future__ import annotations

import pytest

from benchmark.classifiers.schedule import evaluation_steps, learning_rate, plateaus, should_stop
from benchmark.tasks.classifier import Budget, ClassifierConfig


def classifier(schedule):
    return ClassifierConfig(name="r", timm="resnet10t", learning_rate=0.1, schedule=schedule)


def test_cosine_falls_from_the_rate_to_zero():
    """The rate is full at the start, half in the middle and near zero at the end, as in CosineAnnealingLR."""
    import torch

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    reference = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=20)
    for step in range(20):
        assert learning_rate(classifier("cosine"), step, 20, 0) == pytest.approx(
            optimizer.param_groups[0]["lr"]
        )
        optimizer.step()
        reference.step()


def test_constant_rate():
    """Every update uses the recipe's rate."""
    assert {learning_rate(classifier("constant"), s, 20, 0) for s in range(20)} == {0.1}


def test_plateaus_divide_by_ten_as_torch_does():
    """ReduceLROnPlateau, which waits one evaluation more than its patience, gives the same rates."""
    import torch

    qualities = [0.5, 0.6, 0.6, 0.59, 0.6, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7]
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    reference = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, mode="max", factor=0.1, patience=2, threshold=0
    )
    for k in range(len(qualities)):
        drops = plateaus(qualities[:k], 3)
        assert learning_rate(classifier("plateau"), k, 20, drops) == pytest.approx(
            optimizer.param_groups[0]["lr"]
        )
        reference.step(qualities[k])
    assert plateaus(qualities, 3) == 3


@pytest.mark.parametrize(
    ("qualities", "over"),
    [([0.5], False), ([0.5, 0.4, 0.4], False), ([0.5, 0.4, 0.4, 0.5], True), ([0.5, 0.4, 0.4, 0.6], False),
     ([0.5, 0.6, 0.6, 0.5, 0.6], True)],
)  # fmt: skip
def test_patience_ends_a_training(qualities, over):
    """The training ends after three successive evaluations without a new best."""
    assert should_stop(qualities, Budget(length=10, batch_size=2, patience=3)) == over


def test_without_patience_a_training_runs_to_its_end():
    """A training without patience never stops early."""
    assert not should_stop([1.0] * 100, Budget(length=10, batch_size=2))


def test_evaluations_are_evenly_spaced():
    """Ten updates have four evaluations, the last at the end."""
    assert evaluation_steps(10, 4) == {2, 5, 8, 10}
