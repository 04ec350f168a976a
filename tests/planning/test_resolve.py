"""Resolution of user options into a plan."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.classifiers.network import check_weights
from benchmark.errors import ClassifierError, TaskError, UnknownNameError
from benchmark.experiments.run import weights_part
from benchmark.planning.graph import build
from benchmark.planning.request import RunRequest
from benchmark.planning.resolve import choices, make_plan
from benchmark.stages.job import Job
from benchmark.tasks.classifier import ClassifierConfig
from benchmark.utils.hashing import sha256_file
from support.samples import ROOT

BINARY = str(ROOT / "tests" / "tasks" / "tiny_binary.yaml")
MULTI = str(ROOT / "tests" / "tasks" / "tiny_multi.yaml")


def test_choices_are_values_of_yaml():
    """Numbers are numbers, and a mapping keeps its commas."""
    text = "thin.keep=0.25, view.keep=frontal,mix.factor={positive: 4, negative: 4}"
    expected = {"thin.keep": 0.25, "view.keep": "frontal", "mix.factor": {"positive": 4, "negative": 4}}
    assert choices(text) == expected
    assert choices(None) == choices("") == {}


@pytest.mark.parametrize("text", ["frontal", "view=frontal", "view.keep", "view.keep={"])
def test_a_malformed_choice_is_refused(text):
    """A choice needs a step, a field and a value."""
    with pytest.raises(TaskError, match="--scenario"):
        choices(text)


def test_a_choice_makes_another_protocol():
    """Rows of two scenarios share neither leaderboard nor data; the plan's rules have the choice."""
    plain, frontal = (make_plan(RunRequest(BINARY, scenario=s)) for s in (None, "view.keep=frontal"))
    assert plain.protocol_hash != frontal.protocol_hash
    assert frontal.steps["view"] == {"rule": "view", "keep": "frontal"}
    with pytest.raises(UnknownNameError, match=r"Did you mean 'view\.keep'"):
        make_plan(RunRequest(BINARY, scenario="view.keeps=frontal"))


def test_a_generator_that_is_not_installed_is_a_row_with_a_reason():
    """Named by the task, it is a row with a reason. Named by the user, it is an error with a suggestion."""
    rows = {r.name: r for r in make_plan(RunRequest(MULTI)).rows}
    assert "no generator named 'dreambooth' is installed" in rows["dreambooth"].absent
    assert rows["ddpm"].absent == ""
    with pytest.raises(UnknownNameError, match="dreambooth"):
        make_plan(RunRequest(MULTI, generators=("dreambooth",)))


def test_one_plug_in_may_serve_several_rows(tmp_path: Path):
    """A row has its plug-in's code and its parameters."""
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
    rows = {r.name: r for r in make_plan(RunRequest(str(path))).rows}
    assert rows["mild"].plugin == rows["long"].plugin == {"name": "ddpm", "origin": "builtin"}
    assert (rows["mild"].params["steps"], rows["long"].params["steps"]) == (5, 9)


def weights(folder: Path, content: float = 0.0) -> Path:
    """Write a file of weights for the classifier of the tiny tasks; return its folder."""
    import timm
    from safetensors.torch import save_file

    folder.mkdir()
    state = timm.create_model("resnet10t", channels=[8, 8, 16, 16]).state_dict()
    filled = {k: v.new_full(v.shape, content) for k, v in state.items()}
    save_file(filled, folder / "resnet10t.safetensors")
    return folder


def test_weights_are_identified_by_content(tmp_path):
    """The same file elsewhere gives the same protocol and keys; another file gives others."""
    here, there, other = weights(tmp_path / "a"), weights(tmp_path / "b"), weights(tmp_path / "c", 1.0)
    plans = [make_plan(RunRequest(BINARY, weights=w and str(w))) for w in (None, here, there, other)]
    hashes, node_keys = [p.protocol_hash for p in plans], [build(p).keys for p in plans]
    trainings = [{k: v for k, v in f.items() if k.startswith("classify/")} for f in node_keys]
    untouched = [
        {k: v for k, v in f.items() if k.startswith(("data", "fit/", "generate/"))} for f in node_keys
    ]
    assert untouched == untouched[:1] * 4
    assert hashes[1] == hashes[2]
    assert len(set(hashes)) == 3
    assert trainings[1] == trainings[2]
    assert not set(trainings[0].values()) & set(trainings[1].values())
    assert not set(trainings[1].values()) & set(trainings[3].values())


def test_a_training_gets_the_path_of_its_weights(tmp_path):
    """The node's configuration has hash and path; the path is not hashed."""
    folder = weights(tmp_path / "a")
    plan = make_plan(RunRequest(BINARY, weights=str(folder)))
    node = next(n for n in build(plan) if n.stage == "classify")
    content = sha256_file(folder / "resnet10t.safetensors")
    hashed = node.config.model_dump(mode="json")["classifier"]["weights"]
    assert hashed == {"kind": "file", "tag": None, "sha256": content}
    config = Job(node, {}, tmp_path, tmp_path).config
    assert config.classifier.weights.path == folder / "resnet10t.safetensors"
    assert weights_part(plan, str(folder))[0].startswith("weights=a.")


def test_choosing_the_weights_of_the_task_changes_nothing():
    """A choice equal to the task's value gives the same protocol."""
    assert (
        make_plan(RunRequest(BINARY, weights="none")).protocol_hash
        == make_plan(RunRequest(BINARY)).protocol_hash
    )


@pytest.mark.parametrize(
    ("task", "choice", "message"),
    [
        (BINARY, "imagnet", "--weights imagnet: is not a folder\n.*none, imagenet, or a folder"),
        (BINARY, "empty", r"empty/resnet10t\.safetensors' is missing"),
        ("cxr_pneumonia", "narrow", r"does not fit 'resnet10t': size mismatch for layer1"),
        ("cxr_pneumonia", "imagenet", r"timm/resnet10t\.c3_in1k.*HF_HUB_OFFLINE is set"),
    ],
)
def test_unavailable_weights_end_the_plan(tmp_path, monkeypatch, task, choice, message):
    """A typing error, a folder without the file and ImageNet offline each report the name and the remedy."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    (tmp_path / "empty").mkdir()
    weights(tmp_path / "narrow")
    with pytest.raises((TaskError, ClassifierError), match=message):
        make_plan(RunRequest(task, weights=choice))


def test_weights_are_located_only_for_a_classifier(tmp_path, monkeypatch):
    """Generating needs none; a labeling teacher, a filter and a choice by a classifier do."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    make_plan(RunRequest("cxr_pneumonia", weights="imagenet"), stages=("data", "fit", "generate"))
    make_plan(RunRequest("chexpert_imbalance", weights="imagenet"), stages=("generate",))
    request = RunRequest("chexpert_imbalance", weights="imagenet", scenario="label.uncertain=self_trained")
    with pytest.raises(ClassifierError, match="ImageNet weights"):
        make_plan(request, stages=("generate",))


def test_stages_that_load_a_stored_classifier_need_no_path(tmp_path):
    """The hash of the initial weights is enough to identify a stored evaluator."""
    plan = make_plan(RunRequest(BINARY, weights=str(weights(tmp_path / "a"))))
    node = next(n for n in build(plan) if n.stage == "classify")
    config = node.config.classifier.model_dump(mode="json")
    assert ClassifierConfig(**config).weights.path is None
    with pytest.raises(ClassifierError, match="weights file 'None' is missing"):
        check_weights(ClassifierConfig(**config))


def test_a_single_sigmoid_cannot_learn_a_third_class():
    """CheXNet with the label policy that makes uncertain a class is refused at once."""
    request = RunRequest("chexpert_imbalance", profile="paper", scenario="label.uncertain=multi_class")
    with pytest.raises(TaskError, match=r"label\.uncertain: is multi_class.*'chexnet' cannot learn"):
        make_plan(request)
