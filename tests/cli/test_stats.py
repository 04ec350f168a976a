"""``stats KIND`` from the command line: output, files and refusals."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    cohen_kappa_score,
    f1_score,
    roc_auc_score,
)

from benchmark.bundles.io import read_bundles
from benchmark.cli.parser import main
from benchmark.comparison.csv.predictions import Settings, compare_predictions, statistic_of
from benchmark.comparison.csv.predictions_table import read_predictions
from benchmark.comparison.csv.runs import compare_runs, read_runs, values_by_row
from benchmark.reporting.leaderboards.publish import compare_bundles
from support.make_bundles import make_bundles
from support.samples import ROOT

EXAMPLES = ROOT / "examples" / "comparing"
KINDS = {
    "runs": "runs.csv",
    "predictions": "predictions.csv",
    "association": "fidelity.csv",
    "readers": "readers.csv",
    "power": "predictions.csv",
}


def record(tmp_path: Path, *arguments: str) -> dict:
    """Return the JSON that a command writes."""
    out = tmp_path / "out" / "record.json"
    assert main(["stats", *arguments, "--out", str(out)]) == 0
    return json.loads(out.read_text())


def csv(tmp_path: Path, text: str) -> str:
    """Write a file with this text, and return its path."""
    path = tmp_path / "t.csv"
    path.write_text(text)
    return str(path)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return the error output of a wrong command."""
    assert main(["stats", *arguments]) in (1, 2)
    return capsys.readouterr().err


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_the_examples(tmp_path, capsys, kind):
    """Each kind prints its sentences and writes the record that the library gives."""
    result = record(tmp_path, kind, "--csv", str(EXAMPLES / KINDS[kind]))
    assert result["kind"] == kind
    output = capsys.readouterr().out
    assert "record: " in output
    assert max(len(line) for line in output.splitlines()) < 260


def test_the_examples_are_drawn_by_their_script(tmp_path):
    """The script of examples/comparing writes its tables byte for byte."""
    import importlib.util

    spec = importlib.util.spec_from_file_location("make_examples", EXAMPLES / "make_examples.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.main(tmp_path)
    drawn = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    assert drawn == {p.name: p.read_bytes() for p in EXAMPLES.glob("*.csv")}


def test_runs_report_which_rows_differ(tmp_path, capsys):
    """Letters, blocks and shares; Kruskal-Wallis equals scipy's; the best row is first."""
    result = record(tmp_path, "runs", "--csv", str(EXAMPLES / "runs.csv"))
    table = read_runs(EXAMPLES / "runs.csv")
    assert result["kruskal_wallis"]["statistic"] == pytest.approx(
        scipy_stats.kruskal(*values_by_row(table).values()).statistic
    )
    assert result["friedman"]["blocks"] == 9
    assert result["rows"][0]["row"] == "ddpm"
    assert {c["source"] for c in result["variance"]["components"]} == {
        "row",
        "classifier",
        "seed",
        "residual",
    }
    output = capsys.readouterr().out
    assert "Rows that share a letter do not differ significantly" in output
    assert "Nemenyi" in output
    worst = compare_runs(table, direction="minimize")
    assert worst["rows"][0]["row"] == "noise"
    assert worst["friedman"]["mean_ranks"]["noise"] == 1


def test_rows_in_other_blocks_are_not_ranked_by_block(tmp_path):
    """Friedman needs every row in every block: the reason names the missing one, and other results stay."""
    text = "row,value,seed\na,1,0\na,2,1\nb,3,0\nb,4,2\nc,5,0\nc,7,1\n"
    result = record(tmp_path, "runs", "--csv", csv(tmp_path, text))
    assert result["friedman"]["reason"] == "'a' was not run in every block: seed 2 is missing"
    assert result["kruskal_wallis"]["p"] is not None
    result = record(tmp_path, "runs", "--csv", csv(tmp_path, "row,value\na,1\na,2\nb,3\nb,4\n"))
    assert "no column names the blocks" in result["friedman"]["reason"]


def test_prediction_metrics_equal_scikit_learn(tmp_path):
    """Balanced accuracy and AUROC of the example agree; discordant images are counted by hand."""
    table = read_predictions(EXAMPLES / "predictions.csv")
    assert table.classes == ("healthy", "pneumonia")
    predicted = {m: s[0].argmax(1) for m, s in table.scores.items()}
    result = record(tmp_path, "predictions", "--csv", str(EXAMPLES / "predictions.csv"), "--margin", "0.05")
    for model, predicted_classes in predicted.items():
        known = balanced_accuracy_score(table.label, predicted_classes)
        assert result["models"][model]["estimate"] == pytest.approx(known)
    versus = result["versus"]["ddpm"]
    right = {m: predicted_classes == table.label for m, predicted_classes in predicted.items()}
    assert versus["mcnemar"]["gained"] == (right["ddpm"] & ~right["real_only"]).sum()
    assert versus["mcnemar"]["lost"] == (right["real_only"] & ~right["ddpm"]).sum()
    assert versus["delong"]["a"]["auroc"] == pytest.approx(
        roc_auc_score(table.label, table.scores["ddpm"][0][:, 1])
    )
    assert versus["bootstrap"]["difference"] == pytest.approx(versus["difference"]["estimate"])
    assert versus["equivalence"]["margin"] == 0.05
    assert result["test_set"] == {
        "images": 240, "patients": 160, "counts": {"healthy": 159, "pneumonia": 81}, "runs": 1
    }  # fmt: skip


def test_auroc_takes_scores_of_any_scale(tmp_path, capsys):
    """Logits have the AUROC of their probabilities; McNemar's test, which takes a threshold, is left out."""
    rng = np.random.default_rng(0)
    label, logits = np.arange(80) % 2, rng.normal(size=(80, 2)) * 3 + (np.arange(80) % 2)[:, None]

    def table(scores):
        rows = (
            f"i{i},p{i},{k},{a:.6f},{b:.6f}" for i, (k, (a, b)) in enumerate(zip(label, scores, strict=True))
        )
        return csv(tmp_path, "\n".join(["image_id,patient_id,label,a:1,b:1", *rows]))

    arguments = ("predictions", "--metric", "auroc", "--csv")
    raw = record(tmp_path, *arguments, table(logits))
    mapped = record(tmp_path, *arguments, table(1 / (1 + np.exp(-logits))))
    assert raw["models"]["a"]["estimate"] == pytest.approx(roc_auc_score(label, logits[:, 0]))
    assert raw["versus"]["b"]["difference"] == pytest.approx(mapped["versus"]["b"]["difference"])
    assert "scores outside 0 to 1 have no threshold" in str(raw["notes"])
    assert "mcnemar" in mapped["versus"]["b"]
    assert "above a score of 0.5" in capsys.readouterr().out
    assert "expected a probability" in refused(capsys, "predictions", "--csv", table(logits))


def test_both_forms_of_predictions_are_the_same(tmp_path):
    """A long table with the scores of both classes gives the record of the wide one, in any order."""
    wide = read_predictions(EXAMPLES / "predictions.csv")
    lines = (EXAMPLES / "predictions.csv").read_text().splitlines()[1:]
    long = []
    for line in lines:
        image, patient, label, *scores = line.split(",")
        for model, score in zip(("real_only", "ddpm"), scores, strict=True):
            long.append(f"{image},{patient},{label},{model},{1 - float(score):.4f},{score}")
    order = np.random.default_rng(0).permutation(len(long))
    first = next(k for k in order if "real_only" in long[k])
    text = "\n".join([long[first], *(long[k] for k in order if k != first)])
    path = csv(tmp_path, f"image_id,patient_id,label,model,score_healthy,score_pneumonia\n{text}\n")
    again = read_predictions(Path(path))
    assert compare_predictions(again, Settings())["versus"] == compare_predictions(wide, Settings())["versus"]


def test_several_runs_are_averaged(tmp_path):
    """With a column run, the metric is the mean over runs, and trainings enter the interval."""
    rng = np.random.default_rng(0)
    lines = ["image_id,patient_id,label,model,run,score_a,score_b"]
    for model, pull in (("base", 0.5), ("better", 1.5)):
        for run in range(3):
            for k in range(40):
                p = 1 / (1 + np.exp(-((k % 2) * 2 - 1) * pull + rng.normal()))
                lines.append(f"i{k},p{k // 2},{'ab'[k % 2]},{model},{run},{p:.5f},{1 - p:.5f}")
    path = csv(tmp_path, "\n".join(lines) + "\n")
    result = record(tmp_path, "predictions", "--csv", path, "--metric", "accuracy")
    table = read_predictions(Path(path))
    known = np.mean([(s.argmax(1) == table.label).mean() for s in table.scores["better"]])
    assert result["models"]["better"]["estimate"] == pytest.approx(known)
    assert result["versus"]["better"]["difference"]["runs"] == 3
    needed = record(tmp_path, "power", "--csv", path, "--difference", "0.05")["rows"]["better"]["needed"]
    assert needed["difference"] == 0.05
    assert needed["patients"] is None or needed["patients"] > 1


def test_the_power_of_schaudts_test_set(tmp_path, capsys):
    """217 images, 15 % discordant, detect about 7 points at 80 % power; 0.52 points need forty thousand."""
    result = record(
        tmp_path,
        "power",
        "--images",
        "217",
        "--discordant",
        "0.15",
        "--difference",
        "0.0052",
        "--power",
        "0.8",
    )
    assert result["mcnemar"]["detectable"]["0.8"] == pytest.approx(0.073, abs=0.001)
    assert result["mcnemar"]["needed"]["0.8"] == pytest.approx(43_500, rel=0.01)
    assert "7.33 points at 80 % power" in capsys.readouterr().out


def test_association_equals_spearman(tmp_path, capsys):
    """The correlation of the example is scipy's; the output reports that five models prove nothing."""
    result = record(tmp_path, "association", "--csv", str(EXAMPLES / "fidelity.csv"))
    table = np.genfromtxt(EXAMPLES / "fidelity.csv", delimiter=",", skip_header=1, usecols=(1, 2))
    assert result["measures"]["fid"]["rho"] == pytest.approx(scipy_stats.spearmanr(*table.T).statistic)
    assert "no significant association with utility over 5 models" in capsys.readouterr().out


@pytest.fixture(scope="module")
def bundles(tmp_path_factory) -> Path:
    """Bundles of three rows of a simulated task."""
    rows = ("real_only", "ddpm", "stylegan")
    folder = tmp_path_factory.mktemp("stats") / "bundles"
    return make_bundles(folder, rows, test_counts=(20,) * 5, paper_counts=None)


def test_bundles_replace_a_table(tmp_path, bundles):
    """Runs and predictions of bundles give the comparison's figures, with the task's correction."""
    whole = compare_bundles(read_bundles(bundles)).to_json()
    runs = record(tmp_path, "runs", "--bundles", str(bundles))
    assert runs["kruskal_wallis"]["statistic"] == pytest.approx(whole["kruskal_wallis"]["statistic"])
    result = record(tmp_path, "predictions", "--bundles", str(bundles))
    primary = whole["settings"]["primary_metric"]["name"]
    known = whole["figures"]["test"][str(whole["settings"]["primary_bracket"])]
    for name in ("ddpm", "stylegan"):
        actual, expected = result["versus"][name]["difference"], known[name]["versus"]["real_only"][primary]
        assert actual["estimate"] == pytest.approx(expected["estimate"])
        assert actual["p_adjusted"] == pytest.approx(expected["p_adjusted"])


def test_bundles_give_power_and_association(tmp_path, bundles):
    """Power gives the detectable difference; with three rows the association is undefined, with a reason."""
    result = record(tmp_path, "power", "--bundles", str(bundles), "--difference", "0.01")
    assert result["rows"]["ddpm"]["needed"]["difference"] == 0.01
    result = record(tmp_path, "association", "--bundles", str(bundles))
    assert {measure["reason"] for measure in result["measures"].values()} == {"fewer than four rows"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ruins"], "unknown kind 'ruins'\n.*Did you mean 'runs'"),
        (["runs"], "expected one of --csv and --bundles"),
        (["runs", "--csv", "a", "--bundles", "b"], "expected one of --csv and --bundles"),
        (["runs", "--csv", "none.csv"], "none.csv: cannot be read"),
        (["runs", "--bundles", "none"], "holds no bundle"),
        (["runs", "--csv", "a", "--margin", "0.1"], "--margin does not apply to 'stats runs'"),
        (["readers"], "--csv is missing"),
        (["power", "--images", "100"], "expected --images and --discordant"),
        (["power", "--images", "100", "--discordant", "0.1", "--difference", "0.2"], "share of discordant"),
        (["power", "--images", "100", "--csv", "a"], "go without --csv"),
        (["power", "--images", "many"], "should be a valid integer"),
        (["power", "--discordant", "1.5"], "should be less than 1"),
        (["runs", "--csv", "{runs}", "--correction", "tukey"], "tukey"),
        (["runs", "--csv", "{runs}", "--direction", "up"], "unknown direction 'up'"),
        (
            ["predictions", "--csv", "{predictions}", "--metric", "f2"],
            "unknown metric 'f2'\n.*Did you mean 'f1'",
        ),
        (["predictions", "--csv", "{predictions}", "--baseline", "dppm"], "Did you mean 'ddpm'"),
        (["predictions", "--csv", "{predictions}", "--positive", "flu"], "--positive: is 'flu'"),
        (["predictions", "--bundles", "b", "--positive", "flu"], "--positive does not apply to bundles"),
    ],
)
def test_a_wrong_command_is_refused(capsys, arguments, message):
    """One clear line reports a wrong option before any file is read."""
    paths = {k: str(EXAMPLES / f"{k}.csv") for k in ("runs", "predictions")}
    assert re.search(message, refused(capsys, *(a.format(**paths) for a in arguments)))


HEAD = "image_id,patient_id,label,"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + "a\ni,p,x,0.5\n", "column 'a' is not <model>:<class>"),
        (HEAD[:-1] + "\ni,p,x\n", "has no scores"),
        (HEAD + "a:x,a:y,b:x\ni,p,x,1,0,1\n", "model 'b' has no score of 'y'"),
        (HEAD + "a:x,a:y\ni,p,z,1,0\n", "line 2: label: is 'z', expected one of x, y"),
        (HEAD + "a:x,a:y\ni,p,x,1,0\nj,q,x,1,0\n", "no image is 'y'"),
        (HEAD + "a:y\ni,p,y,1\nj,q,y,1\n", "every image is 'y'"),
        (HEAD + "a:x,a:y\ni,p,x,1,0\ni,q,y,1,0\n", "line 3: image_id: image_id 'i' is already"),
        (HEAD + "a:x,a:y\ni,p,x,1,0\nj,p,y,1,0\n", "one patient"),
        (HEAD + "a:x,a:y\ni,p,x,1,inf\nj,q,y,1,0\n", "line 2: a:y: is 'inf', expected a finite number"),
        (HEAD + "a:y,b:y\ni,p,x,1,2\nj,q,y,1,0\n", "b:y: is 2, expected a probability"),
        (HEAD + "a:x,a:y\ni,p,x,1,0\nj,q,y,1,0\n", "are of one model, 'a'"),
        (HEAD + "model,score_x\ni,p,x,a,1\ni,p,y,b,1\n", "line 3: label: of image_id 'i'"),
        (HEAD + "model,score_x,sex\ni,p,x,a,1,f\n", "unknown column 'sex'"),
        (HEAD + "model,score_y\ni,p,x,a,1\nj,q,y,a,1\nj,q,y,b,1\n", "model 'b': image 'i' is missing"),
        (
            HEAD + "model,run,score_y\ni,p,x,a,1,1\nj,q,y,a,1,1\ni,p,x,b,2,1\nj,q,y,b,2,1\n",
            "'b' has the runs 2, 'a' has 1",
        ),
        (HEAD + "model,score_y\ni,p,x,a,1\ni,p,x,a,1\n", "line 3: image_id: model 'a', image_id 'i'"),
    ],
)
def test_invalid_predictions_are_refused(tmp_path, capsys, text, message):
    """The error names the line and the column, the model or the image."""
    assert message in refused(capsys, "predictions", "--csv", csv(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("row,value,seed\na,1,0\na,2,0\n", "line 3: seed: row 'a', seed '0' is already in line 2"),
        ("row,value\na,much\n", "line 2: value: is 'much', expected a number"),
        ("row,value\n" + "".join(f"r{k},1\n" for k in range(101)), "has 101 rows, at most 100"),
    ],
)
def test_invalid_runs_are_refused(tmp_path, capsys, text, message):
    """The error names the line and the column."""
    assert message in refused(capsys, "runs", "--csv", csv(tmp_path, text))


ODD = st.sampled_from(
    ["", "nan", "inf", "-1", "0", "1e308", "real", "fake", "x", "<script>", "'", '"', "\x00", "é", "9"]
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=st.sampled_from(sorted(KINDS)), data=st.data())
def test_no_table_gives_a_traceback(tmp_path, capsys, kind, data):
    """An example with replaced cells and dropped or doubled lines gives a record or a named fault."""
    lines = (EXAMPLES / KINDS[kind]).read_text().splitlines()
    head, body = lines[0], data.draw(st.lists(st.sampled_from(lines[1:]), min_size=1, max_size=12))
    cells = [line.split(",") for line in (head, *body)]
    for _ in range(data.draw(st.integers(0, 4))):
        row = cells[data.draw(st.integers(0, len(cells) - 1))]
        row[data.draw(st.integers(0, len(row) - 1))] = data.draw(ODD)
    path = csv(tmp_path, "\n".join(",".join(row) for row in cells))
    status = main(["stats", kind, "--csv", path, "--out", str(tmp_path / "r.json")])
    output = capsys.readouterr()
    assert status == 0 or output.err.startswith("error: ")


@pytest.mark.parametrize(("classes", "metrics"), [
    (2, {"accuracy": accuracy_score, "balanced_accuracy": balanced_accuracy_score, "f1": f1_score,
         "cohen_kappa": cohen_kappa_score}),
    (3, {"accuracy": accuracy_score, "balanced_accuracy": balanced_accuracy_score,
         "macro_f1": partial(f1_score, average="macro"), "cohen_kappa": cohen_kappa_score}),
])  # fmt: skip
def test_weighted_metrics_equal_scikit_learn(classes, metrics):
    """Each metric that the paired bootstrap resamples agrees for any weights, as the mean over two runs."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, classes, 60)
    scores, weight = rng.random((60, 2, classes)), rng.integers(0, 4, (1, 60)).astype(float)
    kind = "binary" if classes == 2 else "multiclass"
    for name, metric in metrics.items():
        known = np.mean([metric(label, scores[:, r].argmax(1), sample_weight=weight[0]) for r in (0, 1)])
        assert statistic_of(name, kind)(label, scores, weight)[0] == pytest.approx(known)
    one_hot = np.eye(classes)[label]
    columns = [1] if classes == 2 else range(classes)
    known = np.mean(
        [
            roc_auc_score(one_hot[:, k], scores[:, r, k], sample_weight=weight[0])
            for r in (0, 1)
            for k in columns
        ]
    )
    assert statistic_of("auroc", kind)(label, scores, weight)[0] == pytest.approx(known)
