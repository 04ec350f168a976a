"""Settings of ``--set`` change the source and its split, as the task file would."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from benchmark.cli.parser import main, read_request
from benchmark.errors import DataError, TaskError
from benchmark.experiments.run import settings_part
from benchmark.planning.graph import build
from benchmark.planning.request import RunRequest
from benchmark.planning.resolve import make_plan
from benchmark.planning.source import read_settings, setting_words
from benchmark.protocol.patients import classes_with_patients
from benchmark.tasks.schema import SplitRule
from support import source_folders
from support.samples import ROOT, blobs

BINARY = ROOT / "tests" / "tasks" / "tiny_binary.yaml"


def plan(folder: Path, *settings: str, task: Path | str = "cxr_pneumonia", **more):
    """Plan a run of a folder of images."""
    request = RunRequest(str(task), source="image_folder", root=folder, set=settings, **more)
    return make_plan(request, stages=("data",))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of twelve images."""
    root = tmp_path / "images"
    root.mkdir()
    source_folders.image_folder(root)
    return root


def test_settings_are_yaml():
    """Pairs are separated by commas, values may hold commas, and a mapping gives all at once."""
    text = "split.too_few=exclude, counts={a: 1, b: 2},names=[x, y],fit=pad"
    expected = {"split.too_few": "exclude", "counts": {"a": 1, "b": 2}, "names": ["x", "y"], "fit": "pad"}
    assert read_settings([text]) == expected
    assert read_settings(["{split.too_few: exclude, fit: pad}", "n=0.5"]) == {
        "split.too_few": "exclude",
        "fit": "pad",
        "n": 0.5,
    }
    assert read_settings([]) == read_settings([""]) == {}


@given(
    st.dictionaries(
        st.from_regex(r"\A[a-z_]{1,8}\Z"),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="ascii"), max_size=9),
            lambda inner: st.lists(inner, max_size=3),
        ),
        max_size=4,
    )
)
def test_words_of_settings_are_read_back(settings):
    """Every value is written so that it is read as the same value."""
    assert read_settings(setting_words(settings)) == settings


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("split.to_few=exclude", r"unknown setting 'split.to_few'\n.*Did you mean 'split.too_few'"),
        ("fitt=pad", r"unknown setting 'fitt'\n.*Did you mean 'fit'"),
        ("split.fold=1", r"unknown setting 'split.fold'"),
        ("split.too_few=drop", r"--set split: too_few: Input should be 'error' or 'exclude', got 'drop'"),
        ("split.test=0.9", r"less than a tenth for training"),
        ("fit=square", r"source image_folder: params: fit: Input should be 'stretch' or 'pad'"),
        ("fit", r"is not key=value"),
        ("fit=[", r"is not YAML"),
        ("fit=pad,fit=stretch", r"--set fit: is given twice"),
    ],
)
def test_a_wrong_setting_is_refused(folder, text, message):
    """The error names the setting and what may be meant."""
    with pytest.raises(TaskError, match=message):
        plan(folder, text)


def test_settings_are_those_of_the_task_file(folder, tmp_path):
    """A setting gives the protocol of a task file that has it, and other data than the task without it."""
    text = yaml.safe_load((ROOT / "tasks" / "cxr_pneumonia.yaml").read_text(encoding="utf-8"))
    text["sources"]["image_folder"]["split"]["too_few"] = "exclude"
    text["profiles"]["demo"].setdefault("data", {})["image_folder"] = {"fit": "pad"}
    path = tmp_path / "cxr_pneumonia.yaml"
    path.write_text(yaml.safe_dump(text, sort_keys=False))
    plain, edited = plan(folder), plan(folder, task=path)
    changed = plan(folder, "split.too_few=exclude,fit=pad")
    assert changed.protocol_hash == edited.protocol_hash != plain.protocol_hash
    assert build(changed).keys == build(edited).keys
    assert changed.split.too_few == "exclude"
    assert changed.source_params["fit"] == "pad"
    assert changed.settings == {"split.too_few": "exclude", "fit": "pad"}
    assert settings_part(changed) == ["split.too_few=exclude", "fit=pad"]


def test_a_setting_that_the_task_has_changes_nothing(folder):
    """A value equal to the task's or the source's own is the same protocol."""
    same = plan(folder, "fit=stretch,split.too_few=error,ignore_labels=[]")
    assert same.protocol_hash == plan(folder).protocol_hash
    assert same.settings == {}


def test_a_path_is_part_of_no_protocol(folder, tmp_path):
    """A folder that is set reaches the source, and neither protocol nor keys."""
    request = RunRequest("cxr_pneumonia", source="image_folder", set=(f"root={folder}",))
    by_setting, by_root = make_plan(request, stages=("data",)), plan(folder)
    assert by_setting.source_paths == {"root": str(folder)}
    assert by_setting.settings == {}
    assert build(by_setting).keys == build(by_root).keys


def test_a_source_by_its_path(tmp_path, capsys):
    """A third party's file runs through the verb ``data`` in a task that does not name it, and can be set."""
    (tmp_path / "arrays").mkdir()
    source_folders.my_source(tmp_path / "arrays")
    text = yaml.safe_load(BINARY.read_text())
    text |= {"name": "tiny", "classes": ["a", "b"], "scenario": {}, "choices": {}}
    task = tmp_path / "tiny.yaml"
    task.write_text(yaml.safe_dump(text, sort_keys=False))
    example = str(ROOT / "examples" / "my_source.py")
    command = ["data", "--task", str(task), "--source", example, "--root", str(tmp_path / "arrays")]
    command += ["--out", str(tmp_path / "out"), "--workers", "1", "--set", "split.test=0.3"]
    assert main(command) == 0
    assert "images of" in capsys.readouterr().out


def test_the_remedy_names_an_option_that_exists():
    """The remedy for a class with too few patients is a setting that is accepted."""
    with pytest.raises(DataError, match="patients") as caught:
        classes_with_patients(blobs({"a": 9, "b": 2}), SplitRule(), "source x")
    (setting,) = [word for word in str(caught.value).split() if word.startswith("split.")]
    assert read_settings([setting.rstrip(".")]) == {"split.too_few": "exclude"}
    for verb in ("run", "data", "generate", "measure", "classify", "sweep", "submit", "data export", "tune"):
        words = {"sweep": ["--over", "a.b"], "tune": ["--generator", "ddpm"]}.get(verb, [])
        _, request = read_request([*verb.split(), *words, "--set", setting.rstrip("."), "fit=pad"])
        assert request.set == ("split.too_few=exclude", "fit=pad")
