"""``readers export`` of a run, and the figure of its scores."""

from __future__ import annotations

import base64
import json
import re

import pytest

from benchmark.bundles.previews import png
from benchmark.cli.parser import main, read_request
from support.fitted_runs import fitted_run
from support.printed import commands
from support.samples import ROOT


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with one generator of three classes, without bundles."""
    root = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SYNTHTHORAX_STORE", str(root / "store"))
        patch.chdir(root)
        yield fitted_run(root, {"traditional": {}})


def study(path) -> tuple[dict, dict]:
    """Return the data of a page, and the model and class of every image."""
    text = re.search(r'id="study">(.*?)</script>', path.read_text(), re.DOTALL).group(1)
    data = json.loads(text)
    return data, json.loads(base64.b64decode(data["key"]))


def test_a_study_has_the_images_of_the_run_and_of_test_patients(run, tmp_path, capsys):
    """Two of each class of the generator, the first that the run drew, and as many real ones of *test*."""
    words = ["readers", "export", "--run", str(run.out), "--protocol", "turing", "--per-class", "2"]
    out = tmp_path / "study.html"
    assert main([*words, "--rows", "traditional", "--out", str(out)]) == 0
    (printed,) = commands(capsys.readouterr().out)
    assert read_request(printed)[1].kind == "readers"
    data, key = study(out)
    assert sorted(own["model"] for own in key.values()) == ["real"] * 6 + ["traditional"] * 6
    shown = {i["name"]: base64.b64decode(i["source"].split(",")[1]) for i in data["images"]}
    drawn = {png(image) for image in run.drawn("traditional", "viral").image}
    viral = [shown[n] for n, own in key.items() if own == {"model": "traditional", "class": "viral"}]
    assert set(viral) <= drawn
    assert "traditional" not in out.read_text()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--rows", "traditonal"], "Did you mean 'traditional'"),
        (["--rows", "traditional", "--per-class", "6"], "real: has 5 images of class 'viral', needs 6"),
        ([], "has no generator with images"),
    ],
)
def test_what_a_study_lacks_is_one_line(more, message, run, tmp_path, capsys):
    """An unknown row, too few real images, and a run of controls alone."""
    words = ["readers", "export", "--run", str(run.out), "--protocol", "turing"]
    assert main([*words, "--out", str(tmp_path / "x.html"), *more]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "x.html").exists()


def test_the_scores_are_drawn_as_in_figure_6(tmp_path, capsys):
    """A figure for each scored question of the example; a table without scores is refused."""
    example = ROOT / "examples" / "comparing" / "readers.csv"
    assert main(["readers", "figure", "--csv", str(example), "--out", str(tmp_path / "figures")]) == 0
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    assert names == {f"readers_{q}.{kind}" for q in ("quality", "plausibility") for kind in ("png", "svg")}
    bare = tmp_path / "bare.csv"
    bare.write_text("reader,image,model,real_or_fake\na,i,gan,fake\na,j,gan,real\n")
    assert main(["readers", "figure", "--csv", str(bare), "--out", str(tmp_path / "none")]) == 2
    assert "has no scores" in capsys.readouterr().err
