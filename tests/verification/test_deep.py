"""Retraining: the drawn seeds, the nodes that run, and the checks of their results."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from benchmark.bundles.io import Bundle, read_bundle
from benchmark.bundles.standing import read_keyring, read_standing
from benchmark.cli.parser import main
from benchmark.errors import SubmissionError
from benchmark.planning.plan import Plan
from benchmark.planning.request import RunRequest
from benchmark.planning.resolve import make_plan
from benchmark.statistics.repeats import pooled_spread, required_repeats
from benchmark.verification.deep import (
    Agreement,
    check_plausible,
    check_retraining,
    default_repeats,
    per_seed,
    run_values,
)
from benchmark.verification.plausibility import compare_runs
from benchmark.verification.request import VerifyRequest
from benchmark.verification.retrain import (
    RegeneratedImages,
    draw_seeds,
    on_this_machine,
    required_nodes,
)
from benchmark.verification.verify import verify, write_record
from support.honest import edit
from support.inflated import again, disguise, inflate, judged
from support.keys import MAINTAINER, RECORD
from support.samples import ROOT, TINY


@pytest.mark.parametrize(("seeds", "count", "drawn"), [(1, 1, 1), (3, 2, 2), (3, 9, 3)])
def test_no_more_than_the_seeds_are_drawn(seeds: int, count: int, drawn: int):
    """The requested number of the bundle's seeds is drawn, at most all of them."""
    result = draw_seeds(range(seeds), count, None)
    assert len(result) == drawn
    assert set(result) <= set(range(seeds))


def test_a_draw_is_random_or_reproducible():
    """The seeds for retraining are unpredictable to the bundle's author, and reproducible with a given draw
    seed."""
    assert draw_seeds(range(20), 7, 7) == draw_seeds(range(20), 7, 7)
    counts = Counter(draw_seeds(range(3), 1, None) for _ in range(300))
    assert min(counts.values()) > 60  # of 100 each; below 60 once in 10^6


@pytest.fixture(scope="module")
def plan() -> Plan:
    """Return a plan of the tiny task with its generator."""
    return make_plan(RunRequest(task=str(TINY), device="cpu", precision="float32"))


def test_only_the_row_with_the_drawn_seeds_is_retrained(plan: Plan):
    """The plan has the row's fit, images, measures and trainings with the drawn seed, and no other row."""
    nodes = required_nodes(plan, "ddpm", [1])
    assert {n.row for n in nodes} == {"", "ddpm"}
    trained = [n for n in nodes if n.stage == "classify"]
    assert {n.seed for n in trained} == {1}
    assert len(trained) == 2  # brackets
    assert {n.stage for n in nodes} == {
        "data", "reference", "fit", "sample", "generate", "measure", "classify",
    }  # fmt: skip


def test_the_primary_metric_of_every_run(suite_row: Path):
    """Values are those of ``bundle.json``'s results, whose runs are in the order of the seeds."""
    bundle = read_bundle(suite_row)
    values = run_values(bundle.predictions, bundle.manifest)
    for bracket in (4, 12):
        metric = bundle.manifest.results["test"][str(bracket)]["balanced_accuracy"].runs
        assert [values["resnet10_tiny", seed, bracket] for seed in (0, 1)] == pytest.approx(
            list(metric), abs=1e-9
        )
    assert per_seed(values, 12) == {s: values["resnet10_tiny", s, 12] for s in (0, 1)}
    assert per_seed({("a", 0, 0): 0.5, ("b", 0, 0): 0.7}, 12) == {0: pytest.approx(0.6)}


def test_the_same_scores_pass(suite_row: Path, plan: Plan):
    """Scores that agree exactly or nearly pass."""
    checks, record = check_retraining(read_bundle(suite_row), again(suite_row), plan, None)
    outcomes = {c.name: c.passed for c in checks}
    assert outcomes["reproduced"] is True
    assert outcomes["plausible"] is True
    assert record.seeds == (0,)
    assert [r.difference for r in record.retrained] == [0.0, 0.0]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({}, None),
        ({"value": 12.6}, "measures.ms_ssim.value"),
        ({"floor": 2.4}, "measures.ms_ssim.floor"),
        ({"per_class": {"viral": {"value": 1.0, "floor": 1.0}}}, "measures.ms_ssim.per_class.viral.value"),
    ],
)
def test_measures_computed_again(suite_row: Path, plan: Plan, change: dict[str, Any], fault: str | None):
    """Values, floors and reported classes must agree; an older bundle lacks classes and cards.

    A figure of a metric that the task does not name is not checked, and the check reports so.
    """
    card = {"title": "Mine", "description": "", "citation": "", "version": "1"}
    figure = {"value": 12.5, "floor": 2.5, "n": 60, "direction": "minimize"}

    def edited(content: dict[str, Any]) -> None:
        content["measures"] |= {
            "ms_ssim": {**figure, "scales": 2, **change},
            "mine": {**figure, "card": card},
        }

    edit(suite_row, edited)
    bundle = read_bundle(suite_row)
    record = bundle.manifest.record()
    new = {**figure, "per_class": {"viral": {"value": 0.5, "floor": 1.0}}, "card": card}
    fid = {name: value for name, value in record["measures"].items() if name.startswith("fid")}
    assert bundle.manifest.samples is not None
    images = RegeneratedImages(
        bundle.manifest.samples.hash, bundle.manifest.samples.images, {**fid, "ms_ssim": new},
        record["memorization"],
    )  # fmt: skip
    checks, _ = check_retraining(bundle, replace(again(suite_row), regenerated=images), plan, None)
    faults = [check.field for check in checks if check.passed is False and check.name == "images"]
    assert faults == ([fault] if fault else [])
    assert "measures.mine" in [check.field for check in checks if check.passed is None]


def test_other_scores_on_the_machine_that_the_bundle_names_are_a_fault(suite_row: Path, plan: Plan):
    """On the bundle's hardware scores must be reproduced; on other hardware only the spread is tested."""
    checks, _ = check_retraining(read_bundle(suite_row), again(suite_row, 0.5), plan, None)
    assert {c.name: c.passed for c in checks}["reproduced"] is False
    content = json.loads((suite_row / "bundle.json").read_text())
    content["hardware"]["processor"] = "another one"
    (suite_row / "bundle.json").write_text(json.dumps(content))
    checks, _ = check_retraining(read_bundle(suite_row), again(suite_row, 0.5), plan, None)
    assert {c.name: c.passed for c in checks}["reproduced"] is None


@pytest.mark.parametrize(("same", "recorded"), [(True, None), (False, True)])
def test_other_scores_of_the_same_images_are_doubted(suite_row: Path, plan: Plan, same: bool, recorded):
    """Runs of another machine are plausible, and are not recorded if the images recur here bit by bit."""
    edit(suite_row, lambda content: content["hardware"].update(processor="another one"))
    bundle, new = read_bundle(suite_row), again(suite_row, 0.01)
    assert bundle.manifest.samples is not None
    digest = bundle.manifest.samples.hash if same else "0" * 64
    images = RegeneratedImages(
        digest, bundle.manifest.samples.images, {}, bundle.manifest.record()["memorization"]
    )
    checks, record = check_retraining(bundle, replace(new, regenerated=images), plan, None)
    outcomes = {c.name: c for c in checks}
    assert outcomes["reproduced"].passed is None
    assert ("doubted" in outcomes["reproduced"].detail) is same
    assert outcomes["plausible"].passed is True
    assert record.plausible is recorded


@pytest.mark.parametrize("shift", [None, 0, 1, 40])
def test_inflated_runs_on_other_hardware_are_not_recorded(
    suite_row: Path, originals: Path, options: VerifyRequest, shift: int | None
):
    """Four points more in every run pass the other checks, whatever hardware is named.

    They are doubted though the hash of the images is another, or each shown image differs by a gray level.
    Only with other images do they come down to the test of plausibility, whose power is on the board.
    """
    honest = originals / "ddpm"
    inflate(suite_row, 0.05)
    gain = np.mean(seeds_of(read_bundle(suite_row))) - np.mean(seeds_of(read_bundle(honest)))
    assert 0.02 < gain < 0.08
    if shift is not None:
        disguise(suite_row, shift)
    assert verify(suite_row, options).failed == []
    checks, record = judged(honest, suite_row)
    reproduced = next(c for c in checks if c.name == "reproduced")
    assert reproduced.passed is None
    assert ("doubted" in reproduced.detail) is (shift != 40)
    assert record.plausible is (False if shift == 40 else None)  # the honest seeds hardly differ here


def seeds_of(bundle: Bundle) -> list[float]:
    """Return the primary metric of every seed at the primary bracket."""
    return list(per_seed(run_values(bundle.predictions, bundle.manifest), 12).values())


def test_as_many_seeds_are_repeated_as_detect_five_points(suite_row: Path, tmp_path: Path):
    """Random scores of two seeds need both; one suffices beside rows whose seeds hardly differ."""
    bundle = read_bundle(suite_row)
    assert default_repeats(bundle, None) == 2
    board = tmp_path / "board"
    for k in range(12):
        folder = Path(shutil.copytree(suite_row, board / f"row{k}"))
        edit(folder, lambda content, name=f"row{k}": content["row"].update(name=name))
    spread = pooled_spread(
        [list(per_seed(run_values(bundle.predictions, bundle.manifest), 12).values())] * 13
    )
    assert default_repeats(bundle, board) == required_repeats(spread, 2)


def test_one_run_is_plausible_if_its_scores_are_reproduced():
    """Without a spread, equal scores pass the check, and other scores leave it open."""
    verdict = compare_runs([0.7], [0.7], [])
    assert verdict.p is None
    assert check_plausible(verdict, Agreement(1.0, 3e-8)).passed is True
    assert check_plausible(verdict, Agreement(1.0, 3e-3)).passed is None


def test_a_submitted_row_needs_its_generator_or_samples(submission: Path):
    """Without a generator or samples nothing is retrained and nothing is recorded."""
    options = VerifyRequest(task=TINY, deep=True, workers=1)
    report = verify(submission, options)
    outcomes = {c.name: c for c in report.checks}
    assert outcomes["retrained"].passed is None
    assert "--generator FILE or --samples FOLDER" in outcomes["retrained"].detail
    with pytest.raises(SubmissionError, match="nothing is recorded"):
        write_record(submission, options, report)
    assert not (submission / "verified.json").exists()


@pytest.mark.slow
def test_retraining_detects_invented_runs(suite_row: Path, options: VerifyRequest):
    """A bundle with random scores and no generator passes all other checks and fails this one."""
    assert verify(suite_row, options).failed == []
    report = verify(suite_row, VerifyRequest(task=TINY, deep=True, workers=1))
    outcomes = {c.name: c.passed for c in report.checks}
    assert outcomes["reproduced"] is False
    assert outcomes["images"] is False


@pytest.mark.slow
def test_samples_from_folder_to_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Samples are exported, drawn, submitted, verified and recorded; other samples are refused."""
    monkeypatch.setenv("SYNTHTHORAX_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    task = yaml.safe_load(TINY.read_text())
    size = {**task["profiles"]["demo"], "brackets": [6], "primary_bracket": 6}
    task |= {"name": "smaller", "controls": ["real_only"], "profiles": dict.fromkeys(task["profiles"], size)}
    path = tmp_path / "smaller.yaml"
    path.write_text(yaml.safe_dump(task, sort_keys=False))
    common = ["--task", str(path), "--workers", "1"]
    assert main(["data", "export", *common, "--out", str(tmp_path / "training")]) == 0
    for name in ("samples", "others"):
        for k, label in enumerate(task["classes"]):
            folder = tmp_path / name / label
            folder.mkdir(parents=True)
            for i, source in enumerate(sorted((tmp_path / "training").rglob(f"train/{label}/*.png"))[:6]):
                turned(source, folder / f"{i}.png", 1 + k % 3 if name == "samples" else 2)
    card = ROOT / "examples" / "submissions" / "samples" / "submission.yaml"
    out = tmp_path / "out"
    assert (
        main(
            [
                "submit",
                *common,
                "--samples",
                str(tmp_path / "samples"),
                "--card",
                str(card),
                "--out",
                str(out),
            ]
        )
        == 0
    )
    row = next(p for p in out.iterdir() if (p / "bundle.json").is_file())
    monkeypatch.setenv("SYNTHTHORAX_STORE", str(tmp_path / "another"))
    given = ["verify", str(row), *common, "--deep", "--record", "--seed", "1"]
    assert main([*given, "--samples", str(tmp_path / "samples")]) == 0
    record = json.loads((row / "verified.json").read_text())
    assert record["plausible"] is True
    assert record["command"]["samples"] == "samples"
    (tmp_path / "maintainers").write_text(MAINTAINER.line(RECORD))
    assert read_standing(row, read_keyring(tmp_path)).status == "self-reported"
    MAINTAINER.sign(row / "verified.json", RECORD)
    assert read_standing(row, read_keyring(tmp_path)).status == "verified"
    (row / "verified.json").unlink()
    assert main([*given, "--samples", str(tmp_path / "others")]) == 1
    assert not (row / "verified.json").exists()


def turned(source: Path, target: Path, quarters: int) -> None:
    """Return a rotated real image, an exact copy of none."""

    with Image.open(source) as picture:
        Image.fromarray(np.rot90(np.asarray(picture), quarters).copy()).save(target)


def test_precision_is_that_of_the_bundle(suite_row: Path):
    """Retraining uses the bundle's precision, so that scores can be reproduced, and never an unavailable
    device."""
    manifest = read_bundle(suite_row).manifest
    for precision in ("float32", "bfloat16"):
        other = manifest.model_copy(update={"device": "cpu", "precision": precision})
        request = on_this_machine(other, RunRequest(task=str(TINY)))
        assert (request.device, request.precision) == ("cpu", precision)
    odd = on_this_machine(
        manifest.model_copy(update={"device": "x", "precision": "y"}), RunRequest(task=str(TINY))
    )
    assert (odd.device, odd.precision) == ("cpu", "auto")
