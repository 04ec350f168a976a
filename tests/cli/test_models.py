"""``sample`` and ``export``: images of any label or prompt, also of a third party, and errors in one line."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.cli.models import _labels
from benchmark.cli.parser import main
from benchmark.cli.requests import SampleRequest
from benchmark.generators import ddpm
from support.fitted_rows import fitted_row
from support.fitted_runs import FittedRun, fitted_run

LABELS = ("healthy", "viral")
ECHO = '''"""Draws the length of the prompt, and the seed of the fit."""
import numpy as np
from pydantic import BaseModel
from benchmark.plugins.generator import Samples
version = "1"
card = {"title": "Echo", "license": "MIT"}
class Params(BaseModel, extra="forbid", frozen=True):
    pass
class Generator:
    conditions = {"label", "prompt"}
    def __init__(self, params):
        pass
    def fit(self, train, context):
        pass
    def sample(self, request, context):
        image = np.zeros((len(request), request.image_size, request.image_size), np.uint8)
        image[:, 0, 0] = [len(prompt) for prompt in request.prompt]
        image[:, 1] = np.random.default_rng(context.seed).integers(0, 256, request.image_size)
        return Samples(image)
    def save(self, folder):
        (folder / "m.json").write_text("{}")
    @classmethod
    def load(cls, folder, context):
        return cls(None)
'''


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FittedRun]:
    """A run with a generator from outside, one that fails, and a control."""
    root, previews = tmp_path_factory.mktemp("run"), {"count": 1, "images": 10}
    (root / "echo.py").write_text(ECHO)
    fails = {"params": ddpm.tiny(), "previews": {**previews, "sampler_steps": 5000}}
    entries = {"echo": {"file": str(root / "echo.py"), "previews": previews}, "ddpm": fails}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SYNTHTHORAX_STORE", str(root / "store"))
        requests = {"prompt": {"template": "{class} chest"}}
        yield fitted_run(root, entries, LABELS, requests, fit_seeds=[0, 3])


def sampled(run: FittedRun, out: Path, *words: str) -> dict[str, tuple[np.ndarray, dict[str, str]]]:
    """Return pixels and record of every image that ``sample`` writes, by the image's path."""
    assert main(["sample", "--run", str(run.out), "--row", "echo", "--out", str(out), *words]) == 0
    with open(out / "samples.csv", encoding="utf-8", newline="") as table:
        records = {record["image"]: record for record in csv.DictReader(table)}
    assert {p.relative_to(out).as_posix() for p in out.rglob("*.png")} == {*records}
    return {name: (np.asarray(Image.open(out / name)), record) for name, record in records.items()}


def test_a_generator_from_outside_draws_the_images_of_the_run(run, tmp_path):
    """All labels, the prompts of the task's template; ``--fit-seed`` gives those of the other fit."""
    for seed, words in ((0, ()), (3, ("--fit-seed", "3"))):
        drawn = sampled(run, tmp_path / str(seed), "--count", "2", *words)
        assert [*drawn] == [f"{label}/{k:06d}.png" for label in LABELS for k in (0, 1)]
        for name, (pixels, record) in drawn.items():
            label = name.split("/")[0]
            assert np.array_equal(pixels, run.drawn("echo", label, seed).image[int(record["number"])])
            assert (record["label"], record["prompt"]) == (label, f"{label} chest")
            assert (record["fit_seed"], record["seed"]) == (str(seed), str(seed))
            assert pixels[0, 0] == len(label) + 6


def test_a_prompt_and_a_seed_replace_those_of_the_run(run, tmp_path):
    """A prompt of four letters is drawn as 4 for the one label; another seed gives another row of noise."""
    words = ("--count", "1", "--label", "viral", "--prompt", "abcd")
    (one,), (two,) = (sampled(run, tmp_path / s, *words, "--seed", s).values() for s in ("1", "2"))
    assert one[0][0, 0] == two[0][0, 0] == 4
    assert (one[1]["prompt"], one[1]["seed"], two[1]["seed"]) == ("abcd", "1", "2")
    assert not np.array_equal(one[0][1], two[0][1])


def test_a_prompt_alone_decides_where_no_label_is_read(tmp_path):
    """One folder for the prompt instead of one for each label, which the text may contradict."""
    request = SampleRequest(run=tmp_path, row="r", count=1, out=tmp_path, prompt="a chest")
    row = fitted_row(tmp_path, ("prompt",))
    assert (_labels(request, row), row.reads_label) == ({"prompt": "a"}, False)
    request = replace(request, label=("b", "c"))
    assert _labels(request, row) == {"b": "b", "c": "c"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--row", "ecko"), "unknown row 'ecko'\n       Did you mean 'echo'?"),
        (
            ("--row", "ddpm"),
            "row 'ddpm': failed: generator 'ddpm': sampler_steps: is 5000, but the diffusion has",
        ),
        (("--row", "real_only"), "row 'real_only': adds no images, so that nothing was fitted"),
        (("--label", "bacterial"), "row 'echo': unknown label 'bacterial'"),
        (("--fit-seed", "1"), "row 'echo': unknown fit seed '1'\n       Known: 0, 3."),
        (("--fold", "1"), "row 'echo': unknown fold '1'\n       Known: 0."),
        (
            ("--mask", "mask.png"),
            "row 'echo': does not take a condition 'mask'\n       It takes: label, prompt.",
        ),
        (("--condition", "view=frontal"), "row 'echo': does not take a condition 'view'"),
        (("--labels", "viral"), "row 'echo': does not take a condition 'labels'"),
        (("--run", "nowhere"), "--run nowhere: has no run.json"),
    ],
)
def test_a_wrong_request_is_one_error_and_writes_nothing(run, tmp_path, monkeypatch, capsys, words, message):
    """The place, what was expected, and what is on offer."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.eye(8, dtype=np.uint8) * 255).save("mask.png")
    start = ["sample", "--run", str(run.out), "--row", "echo", "--count", "1", "--out", "out"]
    assert main([*start, *words]) in (1, 2)
    assert f"error: {message}" in capsys.readouterr().err.replace(f"--run {run.out}: ", "")
    assert not Path("out").exists()


def test_a_fit_that_is_gone_or_changed_is_named(run, tmp_path, monkeypatch, capsys):
    """Another store, and a file that was edited after the fit."""
    words = ["sample", "--run", str(run.out), "--row", "echo", "--count", "1", "--out", str(tmp_path / "out")]
    with monkeypatch.context() as patch:
        (tmp_path / "other" / "results").mkdir(parents=True)
        patch.setenv("SYNTHTHORAX_STORE", str(tmp_path / "other"))
        assert main(words) == 1
    assert "does not hold the fit of the row" in capsys.readouterr().err
    file = run.out.parent / "echo.py"
    text = file.read_text()
    file.write_text(text + "# edited\n")
    assert main(words) == 1
    file.write_text(text)
    assert "has changed since the fit" in capsys.readouterr().err


def test_only_the_format_of_the_folder_is_exported(run, tmp_path, capsys):
    """A generator that is no pipeline of diffusers has no such folder; the error names another format."""
    words = ["export", "--run", str(run.out), "--row", "echo", "--out", str(tmp_path / "out")]
    assert main([*words, "--format", "diffusers"]) == 1
    assert "is not saved in the format of diffusers\n       Use --format mlflow." in capsys.readouterr().err
    assert main([*words, "--format", "peft", "--register", "x"]) == 2
