"""Previews on val, the best checkpoint and recovery after a crash."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmark.errors import GeneratorError
from benchmark.plugins.generator import synthetic_set
from benchmark.stages.fit_context import Fit
from support.samples import blobs


class Counter:
    """A generator whose state is a number."""

    state = 0

    def save(self, folder):
        (folder / "state.json").write_text(json.dumps(self.state))


def fit_with_scores(folder, scores, **changes):
    """Return a fit whose previews have the listed scores, in turn."""
    folder.mkdir(exist_ok=True)
    left = iter(scores)
    given = {
        "generator": Counter(), "name": "g", "val": blobs({"a": 6, "b": 3}, prefix="val"), "preview": 27,
        "preview_fid": lambda preview: next(left), "metric": "fid", "device": "cpu",
        "precision": "float32", "seed": 0, "scratch": folder, "checkpoints": folder / "checkpoints",
    }  # fmt: skip
    return Fit(**(given | changes))


def sampler(request, seed):
    return synthetic_set(np.zeros((len(request.label), 16, 16)), request, generator="g")


def report(fit, step, **scalars):
    fit.generator.state = step
    return fit.report(step, 40, sampler, **scalars)


def kept_state(fit):
    folder, entry = fit.best()
    return json.loads((folder / "state.json").read_text()), entry


def test_the_best_preview_is_retained(tmp_path):
    """Of previews 9, 3 and 5 the second state is retained, in a single folder."""
    fit = fit_with_scores(tmp_path, [9.0, 3.0, 5.0])
    for step in (10, 20, 30):
        report(fit, step)
    assert kept_state(fit) == (20, {"step": 20.0, "fid": 3.0})
    assert len(list(fit.checkpoints.glob("step_*"))) == 1


def test_the_first_of_equal_previews_is_retained(tmp_path):
    """A tie goes to the earlier state, so a resumed fit decides the same."""
    fit = fit_with_scores(tmp_path, [3.0, 3.0])
    report(fit, 10)
    report(fit, 20)
    assert kept_state(fit)[0] == 10


def test_a_fit_without_previews_uses_its_final_state(tmp_path):
    """A generator without previews is sampled at its final state."""
    fit = fit_with_scores(tmp_path, [])
    fit.report(10, 40, None, loss=1.0)
    fit.generator.state = 99
    assert kept_state(fit) == (99, {})


@pytest.mark.parametrize("resume_at", [10, 20, 30])
def test_a_resumed_fit_retains_the_same_state(tmp_path, resume_at):
    """Repeated reports after a crash give the same retained state and the same history."""
    scores = {10: 9.0, 20: 3.0, 30: 5.0}
    whole = fit_with_scores(tmp_path / "whole", scores.values())
    for step in scores:
        report(whole, step)
    crashed = fit_with_scores(tmp_path / "crashed", scores.values())
    for step in scores:
        report(crashed, step)
    again = fit_with_scores(tmp_path / "crashed", [s for k, s in scores.items() if k >= resume_at])
    for step in scores:
        if step >= resume_at:
            report(again, step)
    assert kept_state(again) == kept_state(whole)
    assert again.history == whole.history


def test_preview_has_the_class_shares_of_val(tmp_path):
    """With 6 and 3 images in val, 27 previews are 18 and 9."""
    assert np.bincount(fit_with_scores(tmp_path, []).request().label).tolist() == [18, 9]


def test_non_finite_loss_is_an_error(tmp_path):
    """A NaN loss ends the fit with the name of the scalar and the step."""
    with pytest.raises(GeneratorError, match="loss not finite at step 10"):
        report(fit_with_scores(tmp_path, [1.0]), 10, loss=float("nan"))


def test_tuner_can_stop_a_fit(tmp_path):
    """``report`` returns the pruner's decision."""
    fit = fit_with_scores(tmp_path, [9.0, 8.0], should_prune=lambda step, fid: fid < 8.5)
    assert report(fit, 10) is False
    assert report(fit, 20) is True


def test_states_round_trip(tmp_path):
    """Tensors, numbers and text load from the last saved state; without one, the result is None."""
    import torch

    fit = fit_with_scores(tmp_path, [])
    assert fit.load_state() is None
    fit.save_state({"step": 3, "w": torch.ones(2), "note": "x"})
    assert torch.equal(fit.load_state()["w"], torch.ones(2))
