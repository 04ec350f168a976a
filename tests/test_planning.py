"""What a user typed, read into a plan."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.errors import TaskError, UnknownNameError
from benchmark.planning import Wish, choices, make_plan
from samples import ROOT

BINARY = str(ROOT / "tests" / "tasks" / "tiny_binary.yaml")
MULTI = str(ROOT / "tests" / "tasks" / "tiny_multi.yaml")


def test_choices_are_values_of_yaml():
    """Numbers are numbers; a mapping keeps its commas."""
    text = "thin.keep=0.25, view.keep=frontal,mix.factor={positive: 4, negative: 4}"
    expected = {"thin.keep": 0.25, "view.keep": "frontal", "mix.factor": {"positive": 4, "negative": 4}}
    assert choices(text) == expected
    assert choices(None) == choices("") == {}


@pytest.mark.parametrize("text", ["frontal", "view=frontal", "view.keep", "view.keep={"])
def test_a_choice_of_another_form_is_told(text):
    """Without a step, a field or a value there is nothing to choose."""
    with pytest.raises(TaskError, match="--scenario"):
        choices(text)


def test_a_choice_makes_another_protocol():
    """Rows of two scenarios do not share a leaderboard, nor their data; the choice is in the plan's rules."""
    plain, frontal = (make_plan(Wish(BINARY, scenario=s)) for s in (None, "view.keep=frontal"))
    assert plain.protocol_hash != frontal.protocol_hash
    assert frontal.steps["view"] == {"rule": "view", "keep": "frontal"}
    with pytest.raises(UnknownNameError, match=r"Did you mean 'view\.keep'"):
        make_plan(Wish(BINARY, scenario="view.keeps=frontal"))


def test_a_generator_that_nobody_installed_is_a_row_with_a_reason():
    """Named by the task: not run, and said so; named by the user: an error with a "did you mean"."""
    rows = {r.name: r for r in make_plan(Wish(MULTI)).rows}
    assert "no generator named 'dreambooth' is installed" in rows["dreambooth"].absent
    assert rows["ddpm"].absent == ""
    with pytest.raises(UnknownNameError, match="dreambooth"):
        make_plan(Wish(MULTI, generators=("dreambooth",)))


def test_one_plug_in_may_stand_in_several_rows(tmp_path: Path):
    """A row takes its plug-in's code and its own parameters."""
    text = (
        Path(BINARY)
        .read_text()
        .replace(
            "generators: {}",
            "generators:\n      mild: {plugin: ddpm, params: {steps: 5}}"
            "\n      long: {plugin: ddpm, params: {steps: 9}}",
        )
    )
    path = tmp_path / "tiny_binary.yaml"
    path.write_text(text)
    rows = {r.name: r for r in make_plan(Wish(str(path))).rows}
    assert rows["mild"].plugin == rows["long"].plugin == {"name": "ddpm", "origin": "builtin"}
    assert (rows["mild"].params["steps"], rows["long"].params["steps"]) == (5, 9)
