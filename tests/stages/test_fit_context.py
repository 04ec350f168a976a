"""Previews on val, the best checkpoint and recovery after a crash."""

from __future__ import annotations

import json

import pytest

from benchmark.errors import GeneratorError
from benchmark.stages.fit_context import Fit
from benchmark.stages.previews import Preview


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
        "generator": Counter(), "name": "g", "previews": 4, "preview_fid": lambda *_: Preview(next(left)),
        "metric": "fid", "scratch": folder,
    }  # fmt: skip
    return Fit(**(given | changes))


def advance(fit, step, **scalars):
    """Log scalars and reach a step of 40, of which every tenth has a preview."""
    fit.generator.state = step
    if scalars:
        fit.log(step, **scalars)
    fit.checkpoint(step, 40)


def kept_state(fit):
    folder, entry = fit.best()
    return json.loads((folder / "state.json").read_text()), entry


def test_the_best_preview_is_retained(tmp_path):
    """Of previews 9, 3 and 5 the second state is retained, in a single folder."""
    fit = fit_with_scores(tmp_path, [9.0, 3.0, 5.0])
    for step in (10, 20, 30):
        advance(fit, step)
    assert kept_state(fit) == (20, {"step": 20.0, "fid": 3.0})
    assert len(list(fit.checkpoints.glob("step_*"))) == 1


def test_the_first_of_equal_previews_is_retained(tmp_path):
    """A tie goes to the earlier state, so a resumed fit decides the same."""
    fit = fit_with_scores(tmp_path, [3.0, 3.0])
    advance(fit, 10)
    advance(fit, 20)
    assert kept_state(fit)[0] == 10


def test_a_fit_without_previews_uses_its_final_state(tmp_path):
    """A generator without previews is sampled at its final state."""
    fit = fit_with_scores(tmp_path, [])
    fit.log(10, loss=1.0)
    fit.generator.state = 99
    assert kept_state(fit) == (99, {})


@pytest.mark.parametrize("resume_at", [10, 20, 30])
def test_a_resumed_fit_retains_the_same_state(tmp_path, resume_at):
    """Repeated steps after a crash give the same retained state and the same history."""
    scores = {10: 9.0, 20: 3.0, 30: 5.0}
    whole = fit_with_scores(tmp_path / "whole", scores.values())
    for step in scores:
        advance(whole, step)
    crashed = fit_with_scores(tmp_path / "crashed", scores.values())
    for step in scores:
        advance(crashed, step)
    again = fit_with_scores(tmp_path / "crashed", [s for k, s in scores.items() if k >= resume_at])
    for step in scores:
        if step >= resume_at:
            advance(again, step)
    assert kept_state(again) == kept_state(whole)
    assert again.history == whole.history


def test_previews_come_at_equal_distances(tmp_path):
    """Of 40 steps and 4 previews every tenth has one; after 20 steps without any, every fifth."""
    seen = []
    fit = fit_with_scores(tmp_path, [], preview_fid=lambda *_: seen.append(step) or Preview(1.0))
    for step in range(1, 41):
        fit.checkpoint(step, 40)
    assert seen == [10, 20, 30, 40]
    seen.clear()
    for step in range(1, 41):
        fit.checkpoint(step, 40, first=20)
    assert seen == [25, 30, 35, 40]


def test_logged_scalars_reach_the_observer_at_once(tmp_path):
    """A logged scalar and a preview of one step are one entry, and are passed on when they come."""
    seen = []
    fit = fit_with_scores(tmp_path, [9.0], on_log=lambda step, scalars: seen.append((step, dict(scalars))))
    advance(fit, 10, loss=0.5)
    assert seen == [(10, {"loss": 0.5}), (10, {"fid": 9.0})]
    assert fit.history == [{"step": 10.0, "loss": 0.5, "fid": 9.0}]


def test_non_finite_loss_is_an_error(tmp_path):
    """A NaN loss ends the fit with the name of the scalar and the step."""
    with pytest.raises(GeneratorError, match="loss is nan at step 10"):
        advance(fit_with_scores(tmp_path, [1.0]), 10, loss=float("nan"))


def test_tuner_can_stop_a_fit(tmp_path):
    """``should_stop`` is the pruner's decision."""
    fit = fit_with_scores(tmp_path, [9.0, 8.0], should_prune=lambda step, fid: fid < 8.5)
    advance(fit, 10)
    assert not fit.should_stop
    advance(fit, 20)
    assert fit.should_stop


@pytest.mark.parametrize("file", ["history.json", "checkpoints/step_20/state.json"])
def test_a_fit_with_a_damaged_history_or_state_begins_again(tmp_path, capsys, file):
    """A changed score would choose another state, and a changed state other images: all is discarded."""
    fit = fit_with_scores(tmp_path, [9.0, 3.0])
    advance(fit, 10)
    advance(fit, 20)
    fit.save_state({"step": 20})
    path = tmp_path / file
    path.write_text(path.read_text().replace("9.0", "2.0").replace("20", "21"))
    again = fit_with_scores(tmp_path, [9.0, 3.0, 5.0])
    assert again.load_state() is None
    assert (again.history, list(tmp_path.rglob("*.json"))) == ([], [])
    assert "damaged, so computed again" in capsys.readouterr().err
    for step in (10, 20, 30):
        advance(again, step)
    assert kept_state(again) == (20, {"step": 20.0, "fid": 3.0})


def test_states_round_trip(tmp_path):
    """Tensors, numbers and text load from the last saved state; without one, the result is None."""
    import torch

    fit = fit_with_scores(tmp_path, [])
    assert fit.load_state() is None
    fit.save_state({"step": 3, "w": torch.ones(2), "note": "x"})
    assert torch.equal(fit.load_state()["w"], torch.ones(2))


def test_a_failed_fit_retains_the_best_preview_and_says_so(tmp_path):
    """After a preview, stop adds a note and the best state stands; before one, it is an error."""
    fit = fit_with_scores(tmp_path / "late", [9.0])
    advance(fit, 10)
    fit.stop(15, "collapsed at step 15")
    assert fit.notes == ["g ended early: collapsed at step 15; the best preview before it is used"]
    assert kept_state(fit)[0] == 10
    with pytest.raises(GeneratorError, match="collapsed at step 5, before the first preview"):
        fit_with_scores(tmp_path / "early", []).stop(5, "collapsed at step 5")
