"""``submit`` creates a bundle from a generator, from samples or from an external bundle."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from benchmark.bundles.io import read_bundle
from benchmark.cli.parser import main, read_request
from benchmark.images import arrow
from benchmark.intake.signature import check
from benchmark.planning.request import RunRequest
from benchmark.planning.resolve import make_plan
from benchmark.submissions.export import prepare
from benchmark.submissions.submit import zip_bundle
from support.honest import edit
from support.printed import commands
from support.remembered import remember_data
from support.samples import ROOT, TINY

EXAMPLES = ROOT / "examples" / "submissions"
MAKE = EXAMPLES / "samples" / "make_samples.py"
FOLDED = ROOT / "tests" / "tasks" / "tiny_folds.yaml"


@dataclass(frozen=True)
class Submitted:
    """A submission of samples, as in the documentation.

    Attributes:
        task: the smallest task.
        export: the output of ``data export``.
        samples: the images that the example's script drew from the export.
        out: the output of ``submit``.
    """

    task: Path
    export: Path
    samples: Path
    out: Path

    def submit(self, *more: str) -> int:
        return main(["submit", "--task", str(self.task), "--workers", "1", *more])


def smallest(folder: Path) -> Path:
    """Write the tiny task with one bracket, one training and two controls."""
    task = yaml.safe_load(TINY.read_text())
    size = {**task["profiles"]["demo"], "brackets": [6], "primary_bracket": 6, "seeds": [0]}
    size["budget"] = {"unit": "steps", "length": 4, "batch_size": 16, "evaluations": 1}
    task |= {"name": "smallest", "controls": ["real_only"], "profiles": dict.fromkeys(task["profiles"], size)}
    path = folder / "smallest.yaml"
    path.write_text(yaml.safe_dump(task, sort_keys=False))
    return path


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a store and a tracking store."""
    folder = tmp_path_factory.mktemp("submit")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SYNTHTHORAX_STORE", str(folder / "store"))
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
        patch.chdir(folder)
        remember_data(patch, {}, folder / "store")
        yield folder


@pytest.fixture(scope="module")
def submitted(place) -> Submitted:
    """The commands of docs/submit_samples.md from the first to the last."""
    entry = Submitted(smallest(place), place / "training", place / "samples", place / "out")
    assert (
        main(["data", "export", "--task", str(entry.task), "--out", str(entry.export), "--workers", "1"]) == 0
    )
    subprocess.run([sys.executable, str(MAKE), str(entry.export), str(entry.samples), "7"], check=True)
    card = str(EXAMPLES / "samples" / "submission.yaml")
    assert entry.submit("--samples", str(entry.samples), "--card", card, "--out", str(entry.out)) == 0
    return entry


def test_samples_go_from_folder_to_bundle(submitted):
    """The example's bundle has predictions, a grid, measures, the gate, the card and the submission type; its
    one parameter is the hash of the samples' content."""
    bundle = read_bundle(submitted.out / "pca_samples")
    manifest = bundle.manifest
    assert (manifest.row.name, manifest.row.role, manifest.submission_type) == (
        "pca_samples",
        "generator",
        "samples",
    )
    assert manifest.submission.authors == ("A. Author", "B. Author")
    assert bundle.grid is not None
    assert set(bundle.predictions["bracket"]) == {6}
    assert manifest.memorization is not None
    assert {"fid_phantom_cxr_v1", "kid_phantom_cxr_v1", "ms_ssim"} < set(manifest.measures)
    assert manifest.samples.images == 30
    assert list(manifest.row.params) == ["content"]
    assert "30 images generated elsewhere" in manifest.row.description
    assert "5 of 35 images left out" in manifest.row.description


def test_no_path_of_the_submitter_is_in_the_bundle(submitted):
    """The bundle names neither the folder of the samples nor the store."""
    text = (submitted.out / "pca_samples" / "bundle.json").read_text()
    assert str(submitted.samples.parent) not in text


def check_next_commands(output: str, task: Path, out: Path) -> None:
    """Require printed commands that verify and add the row of a task from outside, as they are printed."""
    verify, add = commands(output)
    assert read_request(verify)[1].task == read_request(add)[1].task == task
    assert main(verify) == 0
    assert read_request(add)[1].add == (out / "pca_samples",)
    (out / "boards").mkdir()
    assert main([*add, "--root", str(out / "boards")]) == 0


def test_the_same_samples_elsewhere_are_the_same_row_and_the_same_archive(submitted, place, capsys):
    """In another folder, in color and in another format, the samples give cached results and the same ZIP."""
    for path in sorted(submitted.samples.rglob("*.png")):
        target = place / "elsewhere" / path.relative_to(submitted.samples)
        target.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(path) as opened:
            opened.convert("RGB").save(target, compress_level=1)
    before = zipfile.ZipFile(submitted.out / "pca_samples.zip").read("pca_samples/bundle.json")
    card = str(EXAMPLES / "samples" / "submission.yaml")
    out = ("--out", str(place / "out2"))
    assert submitted.submit("--samples", str(place / "elsewhere"), "--card", card, *out) == 0
    check_next_commands(capsys.readouterr().out, submitted.task, place / "out2")
    after = (place / "out2" / "pca_samples" / "bundle.json").read_bytes()
    assert json.loads(before)["row"] == json.loads(after)["row"]
    assert before == after
    assert (
        zip_bundle(place / "out2" / "pca_samples", place / "a.zip").read_bytes()
        == (submitted.out / "pca_samples.zip").read_bytes()
    )


def test_too_few_samples_are_refused_before_training(submitted, place, capsys):
    """The error names the class with the required and the given number; no bundle remains."""
    shutil.copytree(submitted.samples, place / "few")
    for path in sorted((place / "few" / "viral").iterdir())[:3]:
        path.unlink()
    card = str(EXAMPLES / "samples" / "submission.yaml")
    assert submitted.submit("--samples", str(place / "few"), "--card", card, "--out", str(place / "o3")) == 1
    assert "class 'viral' has 4, needs 6" in capsys.readouterr().err
    assert not (place / "o3" / "pca_samples").exists()


@pytest.mark.parametrize("split", ["test", "reserve"])
def test_a_copy_of_a_hidden_image_is_refused(split, submitted, place, capsys):
    """The error names a test or reserve image among the samples."""
    plan = make_plan(RunRequest(str(submitted.task), generators=()), stages={"data"})
    real = getattr(arrow.read_splits(prepare(plan, 1)[0].folder), split)
    name = real.classes[real.label[3]]
    folder = shutil.copytree(submitted.samples, place / f"leak_{split}")
    Image.fromarray(np.ascontiguousarray(real.image[3])).save(folder / name / "00000.png")
    card = str(EXAMPLES / "samples" / "submission.yaml")
    assert submitted.submit("--samples", str(folder), "--card", card, "--out", str(place / "o4")) == 1
    message = capsys.readouterr().err
    assert f"00000.png: is a copy of the real image '{real.image_id[3]}' of {split}" in message


@pytest.mark.slow
def test_copies_of_training_images_are_left_to_the_gate(submitted, place):
    """Copies of training images are evaluated like other samples, and the memorization gate refuses the
    rank."""
    folder = place / "copies"
    for path in submitted.export.glob("train/*/*.png"):
        target = folder / path.parent.name / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    card = place / "copies.yaml"
    card.write_text((EXAMPLES / "samples" / "submission.yaml").read_text().replace("pca_samples", "copies"))
    assert submitted.submit("--samples", str(folder), "--card", str(card), "--out", str(place / "o5")) == 0
    gate = read_bundle(place / "o5" / "copies").manifest.memorization
    assert gate.rate == 1
    assert gate.gated


@pytest.mark.parametrize("form", ["folder", "zip"])
def test_an_external_bundle_gets_its_card(form, submitted, place):
    """docs/submit_bundle.md: predictions and figures are unchanged, submission type and card are added, and
    the input is not modified."""
    given = submitted.out / ("pca_samples" if form == "folder" else "pca_samples.zip")
    before = read_bundle(submitted.out / "pca_samples")
    card = place / "bundle.yaml"
    text = (EXAMPLES / "bundle" / "submission.yaml").read_text()
    card.write_text(text.replace("name: my_generator", "name: pca_samples"))
    out = place / f"from_{form}"
    assert submitted.submit("--bundle", str(given), "--card", str(card), "--out", str(out)) == 0
    after = read_bundle(out / "pca_samples")
    assert after.manifest.submission_type == "bundle"
    assert after.manifest.submission.title == "Gaussian in principal components, evaluated elsewhere"
    assert after.predictions.equals(before.predictions)
    changed = {"submission_type": "", "submission": None, "files": None, "row": None}
    assert {**after.manifest.record(), **changed} == {**before.manifest.record(), **changed}
    assert sorted(p.name for p in out.iterdir()) == ["pca_samples", "pca_samples.zip"]
    assert read_bundle(submitted.out / "pca_samples").manifest.submission_type == "samples"


def test_an_external_bundle_that_fails_a_check_is_not_written(submitted, place, capsys):
    """``submit --bundle`` makes every check of ``verify``: an edited claim is refused by its field."""
    odd = Path(shutil.copytree(submitted.out / "pca_samples", place / "edited" / "pca_samples"))
    edit(odd, lambda content: content.update(question="Is mine the best?"))
    card = place / "edited.yaml"
    text = (EXAMPLES / "bundle" / "submission.yaml").read_text()
    card.write_text(text.replace("name: my_generator", "name: pca_samples"))
    out = place / "o7"
    assert submitted.submit("--bundle", str(odd), "--card", str(card), "--out", str(out)) == 1
    assert "question: protocol: is 'Is mine the best?'" in capsys.readouterr().err
    assert not list(out.rglob("bundle.json"))


def test_a_bundle_of_another_name_or_with_more_in_it_is_refused(submitted, place, capsys):
    """The card's name must be the row's; the error names an unknown file."""
    card = str(EXAMPLES / "bundle" / "submission.yaml")
    given, out = submitted.out / "pca_samples", ("--out", str(place / "o6"))
    assert submitted.submit("--bundle", str(given), "--card", card, *out) == 1
    assert "row.name: is 'pca_samples', the card's name is 'my_generator'" in capsys.readouterr().err
    odd = shutil.copytree(given, place / "odd" / "pca_samples")
    (odd / "run.pkl").write_bytes(b"\x80\x04.")
    assert submitted.submit("--bundle", str(odd), "--card", card, *out) == 1
    assert "run.pkl" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Give one of --generator, --samples and --bundle"),
        (["--samples", "a", "--bundle", "b"], "got --samples and --bundle"),
        (["--samples", "a"], "--card: is missing"),
        (["--samples", "a", "--card", "absent.yaml"], "absent.yaml: is missing"),
    ],
)
def test_a_wrong_command_is_refused(arguments, message, place, capsys):
    """A submission needs exactly one type and a card."""
    assert main(["submit", *arguments]) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("name", ["real_only", "oracle", "ddpm"])
def test_the_name_of_a_row_of_the_suite_is_taken(name, place, capsys):
    """A name of one of the suite's rows is refused."""
    card = place / f"{name}.yaml"
    card.write_text((EXAMPLES / "samples" / "submission.yaml").read_text().replace("pca_samples", name))
    assert main(["submit", "--samples", "a", "--card", str(card)]) == 1
    assert f"'{name}' is a row of the suite" in capsys.readouterr().err


def test_the_commands_of_the_pages_are_commands():
    """Every ``synththorax`` of docs/submit*.md parses, and its files exist."""
    known = set()
    for page in sorted((ROOT / "docs").glob("submit*.md")):
        text = page.read_text().replace("\\\n", " ")
        for line in re.findall(r"^synththorax (.*)$", text, re.MULTILINE):
            words = shlex.split(line)
            _, options = read_request(words)
            known.add(words[0])
            for path in (getattr(options, "card", None), getattr(options, "generator", None)):
                assert path is None or (ROOT / path).is_file(), line
    assert known == {"submit", "data", "verify", "leaderboard"}


def test_zip_is_the_same_whenever_and_wherever_it_is_packed(tmp_path):
    """The ZIP does not depend on file times and directory order."""
    for k, names in enumerate((("b.json", "samples/a.png"), ("samples/a.png", "b.json"))):
        for name in names:
            path = tmp_path / str(k) / "row" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)
        os.utime(tmp_path / str(k) / "row" / "b.json", (k, k))
        zip_bundle(tmp_path / str(k) / "row", tmp_path / f"{k}.zip")
    assert (tmp_path / "0.zip").read_bytes() == (tmp_path / "1.zip").read_bytes()


@pytest.mark.slow
def test_a_generator_is_trained_and_evaluated(submitted, place):
    """The suite fits and evaluates the file; --with-controls and --board write leaderboards."""
    card, out = str(EXAMPLES / "generator" / "submission.yaml"), place / "generator"
    example = str(ROOT / "examples" / "my_generator.py")
    assert submitted.submit("--generator", example, "--card", card, "--out", str(out), "--with-controls") == 0
    manifest = read_bundle(out / "pca_gaussian").manifest
    assert (manifest.submission_type, manifest.row.title, manifest.row.params["components"]) == (
        "generator",
        "Gaussian in principal components",
        30,
    )
    assert '"pca_gaussian"' in (out / "leaderboard.json").read_text()
    board = place / "boards" / "results" / "smallest-demo"
    shutil.copytree(out / "bundles" / "real_only", board / "real_only")
    card = str(EXAMPLES / "samples" / "submission.yaml")
    more = ("--board", str(place / "boards"), "--out", str(place / "beside"))
    assert submitted.submit("--samples", str(submitted.samples), "--card", card, *more) == 0
    page = (place / "beside" / "leaderboard.json").read_text()
    assert '"pca_samples"' in page
    assert '"real_only"' in page


@pytest.mark.slow
def test_samples_for_each_fold(place):
    """On a task with folds the example's script fits once per fold, and every fold predicts."""
    export, samples = place / "training_f", place / "samples_f"
    assert main(["data", "export", "--task", str(FOLDED), "--out", str(export)]) == 0
    subprocess.run([sys.executable, str(MAKE), str(export), str(samples), "200"], check=True)
    shutil.rmtree(samples / "fold_0" / "healthy")  # only pneumonia gets synthetic images
    arguments = ["submit", "--samples", str(samples), "--task", str(FOLDED), "--out", str(place / "folded")]
    assert main([*arguments, "--card", str(EXAMPLES / "samples" / "submission.yaml")]) == 0
    predictions = read_bundle(place / "folded" / "pca_samples").predictions
    assert set(predictions["fold"]) == {0, 1}


@pytest.mark.slow
def test_samples_of_a_real_pack_become_a_row(place, packs):
    """Images of the covid-chestxray pack are exported, learned from, drawn, submitted and evaluated on the
    pack's test patients. The rarest class, viral, is left out."""
    real = ["--source", "covid_chestxray", "--root", str(packs / "covid-chestxray"), "--workers", "1"]
    task, export, samples = ["--task", str(smallest(place)), *real], place / "training_r", place / "samples_r"
    assert main(["data", "export", *task, "--out", str(export)]) == 0
    subprocess.run([sys.executable, str(MAKE), str(export), str(samples), "6"], check=True)
    card, out = str(EXAMPLES / "samples" / "submission.yaml"), place / "real"
    arguments = ["--samples", str(samples), "--card", card, "--out", str(out), "--with-controls"]
    assert main(["submit", *task, *arguments]) == 0
    bundle = read_bundle(out / "pca_samples")
    assert bundle.manifest.data_kind == "real"
    assert bundle.manifest.memorization.n == 24
    assert set(bundle.manifest.data.splits["test"].counts) >= {"healthy", "covid19"}
    assert '"pca_samples"' in (out / "leaderboard.json").read_text()


def test_a_bundle_is_signed_by_its_author(submitted, place):
    """``--sign`` writes a valid signature beside ``bundle.json``, in the folder and in the ZIP."""
    if shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen is not installed")
    key = place / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    card = place / "signed.yaml"
    card.write_text(
        (EXAMPLES / "bundle" / "submission.yaml").read_text().replace("my_generator", "pca_samples", 1)
    )
    given, out = str(submitted.out / "pca_samples.zip"), place / "signed"
    arguments = ["--bundle", given, "--card", str(card), "--out", str(out), "--sign", str(key)]
    assert submitted.submit(*arguments) == 0
    folder = out / "pca_samples"
    assert check(folder / "bundle.json", folder / "bundle.json.sig").good
    assert "pca_samples/bundle.json.sig" in zipfile.ZipFile(out / "pca_samples.zip").namelist()
    read_bundle(folder)


@pytest.mark.slow
def test_a_submission_passes_verification(submitted, place, capsys):
    """``verify --deep`` draws the same images from the samples and trains the same network; other samples are
    refused."""
    deep = ["verify", str(submitted.out / "pca_samples.zip"), "--task", str(submitted.task), "--deep"]
    assert main([*deep, "--samples", str(submitted.samples)]) == 0
    assert "generated again, the images and their measures are the same" in capsys.readouterr().out
    other = shutil.copytree(submitted.samples, place / "other")
    shutil.copy(other / "viral" / "00001.png", other / "viral" / "00000.png")
    main([*deep, "--samples", str(other)])
    output = capsys.readouterr().out
    assert "do not have the content hash" in output
    assert "generated again" not in output
