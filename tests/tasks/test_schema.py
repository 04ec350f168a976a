"""Validation of task files and its messages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmark.errors import TaskError, UnknownNameError
from benchmark.tasks.loading import load_task, task_names
from benchmark.tasks.parsing import read_yaml
from benchmark.tasks.schema import PROFILES, Task
from support.samples import ROOT

# a packaged task without the parts that the tests replace
SOURCE = re.sub(
    r"^choices:\n  .*\n\n|^mix: .*\n|^ +learning_curve: .*\n",
    "",
    (ROOT / "tasks" / "cxr_pneumonia.yaml").read_text(),
    flags=re.M,
)


def written(folder: Path, text: str) -> str:
    path = folder / "cxr_pneumonia.yaml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("name", task_names())
def test_packaged_tasks_load_and_have_every_profile(name):
    """Every packaged task is valid and has the three profiles."""
    task = load_task(name)
    assert set(task.profiles) == set(PROFILES)


def test_task_of_schaudt_has_the_published_protocol():
    """The paper profile is Schaudt et al. 2023: section 3.3.2, Tables 4 and 7."""
    paper = load_task("cxr_pneumonia").profile("paper")
    assert paper.image_size == 224
    assert [c.timm for c in paper.classifiers] == [
        "resnet50", "efficientnet_b0", "efficientnet_b1", "convnext_tiny", "convnext_small",
    ]  # fmt: skip
    assert {(c.learning_rate, c.dropout, c.weights.kind) for c in paper.classifiers} == {
        (1e-4, 0.5, "imagenet")
    }
    assert (paper.budget.unit, paper.budget.length, paper.budget.batch_size) == ("epochs", 60, 8)
    assert len(paper.seeds) == 5
    assert set(paper.generators) == {"stylegan", "ddpm", "finetuning", "lora", "dreambooth"}
    assert paper.brackets == (100, 250, 500, 750, 1000, 5000, 10000)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("citation:", "citatoin:", "Did you mean 'citation'"),
        ("image_size: 32", "image_sise: 32", "Did you mean 'image_size'"),
        ("image_size: 32", "image_size: small", "profiles.demo.image_size"),
        ("primary_bracket: 250", "primary_bracket: 251", "primary_bracket must be one of brackets"),
        ("seeds: [0, 1, 2]", "seeds: [0, 0, 2]", "distinct"),
        ("val: 0.15}", "val: 0.95}", "leave less than a tenth"),
        ("seeds: [0, 1, 2]", "seeds: [0, 1, 2]\n    learning_curve: [0.5, 1.0]", "shares between 0 and 1"),
        ("controls:", "mix: {ratio: 0}\ncontrols:", "mix.ratio: Input should be greater than 0"),
        ("controls:", "mix: {unit: deficit}\ncontrols:", "'deficit' needs a reserve in every profile"),
        (
            "controls:",
            "mix: {training: synthetic, fit_on: misclasified}\ncontrols:",
            "mix.fit_on: Input should be 'all' or 'misclassified'",
        ),
        ("controls: [real_only, ", "controls: [", "real_only"),
        ("name: cxr_pneumonia", "name: other", "the file's name"),
        ("default_source: phantom.chest", "default_source: nowhere", "not among sources"),
        ("alpha: 0.05", "alpha: 0.05, alpha: 0.1", "duplicate key 'alpha'"),
        ("question:", "question: !!python/object/apply:os.system", "could not determine a constructor"),
    ],
)
def test_fault_is_one_line_that_names_the_field(tmp_path, old, new, message):
    """A wrong task file gives one line with the field and the expected value; no code runs."""
    assert old in SOURCE
    with pytest.raises(TaskError, match=re.escape(message)) as caught:
        load_task(written(tmp_path, SOURCE.replace(old, new, 1)))
    assert "cxr_pneumonia.yaml" in str(caught.value)


def test_unknown_names_get_a_did_you_mean():
    """The error for a misspelled task, profile or source suggests the right name."""
    with pytest.raises(UnknownNameError, match="Did you mean 'cxr_pneumonia'"):
        load_task("cxr_pnuemonia")
    task = load_task("cxr_pneumonia")
    with pytest.raises(UnknownNameError, match="Did you mean 'demo'"):
        task.profile("demoo")
    with pytest.raises(UnknownNameError, match="Did you mean 'covid_chestxray'"):
        task.source("covid-chestxray")


def test_missing_and_malformed_files_are_errors(tmp_path):
    """A missing file, a list instead of a mapping and non-text bytes each give a TaskError."""
    with pytest.raises(TaskError, match="no such task file"):
        load_task(str(tmp_path / "absent.yaml"))
    (tmp_path / "list.yaml").write_text("- a\n")
    with pytest.raises(TaskError, match="expected a mapping, got list"):
        read_yaml(tmp_path / "list.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TaskError, match="cannot be read"):
        read_yaml(tmp_path / "bytes.yaml")


def test_protocol_hash_follows_the_protocol_and_not_the_generators(tmp_path):
    """Results are comparable across generators, but not across seeds, extractors, sources or profiles."""
    task = load_task(written(tmp_path, SOURCE))
    expected_hash = task.settings_hash("demo", "phantom.chest", "x")
    fewer = load_task(written(tmp_path, SOURCE.replace("      ddpm: {fit: joint}\n", "", 1)))
    seeds = load_task(written(tmp_path, SOURCE.replace("seeds: [0, 1, 2]", "seeds: [0, 1, 3]", 1)))
    assert fewer.settings_hash("demo", "phantom.chest", "x") == expected_hash
    assert seeds.settings_hash("demo", "phantom.chest", "x") != expected_hash
    others = {
        task.settings_hash(*a)
        for a in (
            ("lite", "phantom.chest", "x"),
            ("demo", "covid_chestxray", "x"),
            ("demo", "phantom.chest", "y"),
        )
    }
    assert len(others | {expected_hash}) == 4


RULES = """
scenario:
  labels: {rule: label_policy, finding: pneumothorax}
  view: {rule: view, keep: both}
choices: {view.keep: [frontal, both], labels.uncertain: [ones, zeros], mix.training: [add, synthetic]}
default_source:"""


def with_rules(folder: Path, text: str = RULES) -> Task:
    return load_task(written(folder, SOURCE.replace("default_source:", text.lstrip(), 1)))


def test_choices_change_the_protocol(tmp_path):
    """A choice changes its field and the protocol's hash; without one, the task is unchanged."""
    task = with_rules(tmp_path)
    chosen = task.variant({"view.keep": "frontal", "mix.training": "synthetic"})
    assert chosen.steps("demo", "phantom.chest")["view"].keep == "frontal"
    assert chosen.mix.training == "synthetic"
    assert task.steps("demo", "phantom.chest")["view"].keep == "both"
    hashes = {t.settings_hash("demo", "phantom.chest", "x") for t in (task, chosen, task.variant({}))}
    assert len(hashes) == 2


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"view.kep": "frontal"}, "Did you mean 'view.keep'"),
        ({"view.keep": "oblique"}, "Choose one of: frontal, both"),
        ({"labels.finding": "effusion"}, "unknown choice"),
    ],
)
def test_a_choice_that_is_not_offered_is_refused(tmp_path, chosen, message):
    """For another field, value or spelling the error lists the offered choices."""
    with pytest.raises((TaskError, UnknownNameError), match=re.escape(message)):
        with_rules(tmp_path).variant(chosen)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("rule: view", "rule: veiw", "does not match any of the expected tags"),
        ("keep: both", "keep: all", "Input should be 'frontal', 'lateral' or 'both'"),
        ("view.keep: [frontal", "view.keep: [oblique", "Input should be"),
        ("mix.training:", "mix.sharing:", "not a field of a step"),
    ],
)
def test_faults_of_a_scenario_are_errors(tmp_path, old, new, message):
    """A task with an unknown rule, field or choice does not load."""
    with pytest.raises(TaskError, match=re.escape(message)):
        with_rules(tmp_path, RULES.replace(old, new))


def test_a_source_may_skip_a_step(tmp_path):
    """A skipped step must exist, and is skipped for that source only."""
    text = RULES.replace("default_source:", "") + "default_source: phantom.chest\n#"
    changed = SOURCE.replace("covid_chestxray:", "covid_chestxray:\n    skip_steps: [labels]", 1)
    task = load_task(written(tmp_path, changed.replace("default_source:", text.lstrip(), 1)))
    assert list(task.steps("demo", "covid_chestxray")) == ["view"]
    assert list(task.steps("demo", "phantom.chest")) == ["labels", "view"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("{name: balanced_accuracy, direction: maximize}", "{name: f1}", "needs two classes"),
        ("default_source:", "labels: multilabel\ndefault_source:", "'auroc' is"),
        ("default_source:", "mix: {classes: [flu]}\ndefault_source:", "'flu', which is not among classes"),
        ("default_source:", "mix: {unit: real_image}\ndefault_source:", "needs a reserve"),
        ("{by: patient, val: 0.15}", "{by: patient, folds: 1}", "folds is 0 or at least 2"),
    ],
)
def test_faults_of_metric_mix_and_folds_are_errors(tmp_path, old, new, message):
    """Uncomputable settings are refused before the run."""
    with pytest.raises(TaskError, match=re.escape(message)):
        load_task(written(tmp_path, SOURCE.replace(old, new, 1)))


def strategies(**mix):
    """Return the tiny task of the strategies with another mix."""
    task = load_task(str(ROOT / "tests" / "tasks" / "tiny_strategies.yaml"))
    return Task.model_validate({**task.model_dump(), "choices": {}, "mix": mix})


def test_strategies_that_exclude_each_other_are_refused():
    """The largest class would have no image; a multi-label task has no single predicted class."""
    with pytest.raises(ValueError, match=r"mix\.training must be 'add'"):
        strategies(unit="deficit", training="synthetic")
    multi = strategies().model_dump() | {
        "labels": "multilabel",
        "primary_metric": {"name": "auroc"},
        "choices": {},
    }
    with pytest.raises(ValueError, match="'misclassified' needs labels 'single'"):
        Task.model_validate(multi | {"mix": {"fit_on": "misclassified"}})


def test_choices_that_exclude_each_other_are_refused():
    """Each is offered, but their combination is refused before the run starts."""
    task = load_task(str(ROOT / "tests" / "tasks" / "tiny_strategies.yaml"))
    with pytest.raises(TaskError, match="'deficit' gives the largest class nothing"):
        task.variant({"mix.unit": "deficit", "mix.training": "synthetic"})


def test_a_learning_curve_is_not_part_of_the_protocol():
    """The curve adds results of real_only, and nothing else on the leaderboard depends on it."""
    task = load_task(str(ROOT / "tests" / "tasks" / "tiny_strategies.yaml"))
    demo = task.profile("demo").model_copy(update={"learning_curve": ()})
    without = task.model_copy(update={"profiles": {**task.profiles, "demo": demo}})
    hashes = {t.settings_hash("demo", "phantom.chest", "x") for t in (task, without)}
    assert len(hashes) == 1


def test_a_mixing_ratio_is_a_choice_like_any_other():
    """Each value is a separate protocol."""
    task = load_task(str(ROOT / "tests" / "tasks" / "tiny_strategies.yaml"))
    ratios = [task.variant({"mix.ratio": value}) for value in (0.5, 1.0, 2.0)]
    assert [t.mix.ratio for t in ratios] == [0.5, 1.0, 2.0]
    assert len({t.settings_hash("demo", "phantom.chest", "x") for t in ratios}) == 3


def test_the_example_of_table_3_is_lus_limited_with_and_without_augmentation():
    """Generators, scenario and mix are those of ``lus_limited``; two classifiers differ in augmentation."""
    example, task = load_task(str(ROOT / "examples" / "zhang_table3.yaml")), load_task("lus_limited")
    own, demo = example.profile("demo"), task.profile("demo")
    assert {name: demo.generators[name] for name in own.generators} == own.generators
    assert {*own.generators} == {"singan", "sinddm", "fewddm"}
    assert (example.scenario, example.mix, example.classes) == (task.scenario, task.mix, task.classes)
    assert (own.budget, own.image_size, own.brackets) == (demo.budget, demo.image_size, demo.brackets)
    plain, augmented = (c.model_dump(exclude={"name"}) for c in own.classifiers)
    assert augmented == demo.classifiers[0].model_dump(exclude={"name"})
    assert plain == {**augmented, "augmentation": "none"}
    assert example.sources["pocus"] == task.sources["pocus"]
