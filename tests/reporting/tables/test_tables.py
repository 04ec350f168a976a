"""Tables in the papers' shapes, from bundles with hand-calculated figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmark.bundles.io import Bundle
from benchmark.comparison.compare import compare
from benchmark.reporting.figures import draw, shapes
from benchmark.reporting.tables import (
    auroc_by_finding,
    equivalent,
    folds,
    of_run,
    quality,
    schaudt,
    strategies,
)
from benchmark.reporting.tables.record import LeftOut, Table
from benchmark.reporting.tables.run import Run
from support.by_hand import bundle, predictions, records, run_of, two_generators, with_curve, with_fields


def value(table: Table, row: tuple[str, ...], column: tuple[str, ...]) -> Any:
    """Return the figure in a cell."""
    return table.cells[row, column].value


@pytest.fixture(scope="module")
def run() -> Run:
    """See ``by_hand.two_generators``; the primary bracket is 2."""
    return run_of(two_generators())


@pytest.fixture(scope="module")
def real_alone() -> Run:
    """Return ``real_only`` and a row without images, with nothing that adds any."""
    right = {(0, "a", 0): (5, 5), (0, "a", 1): (6, 4)}
    return run_of([bundle("real_only", predictions(right)), bundle("oversample", predictions(right))])


def test_table_7_has_a_group_per_bracket(run):
    """The baseline comes first, then the generators by bracket; figures are those of ``two_generators``."""
    primary, accuracy = schaudt.accuracy_by_bracket(run)
    assert (primary.name, accuracy.name) == ("balanced_accuracy_by_bracket", "accuracy_by_bracket")
    assert primary.rows == (
        ("none added", "real_only"), ("+1", "one"), ("+1", "two"), ("+2", "one"), ("+2", "two"),
    )  # fmt: skip
    assert [c.key for c in primary.columns] == [("a",), ("b",)]
    assert value(accuracy, ("+2", "one"), ("a",)) == pytest.approx(0.75)
    assert value(accuracy, ("none added", "real_only"), ("b",)) == pytest.approx(0.65)
    cell = accuracy.cells[("+1", "two"), ("a",)]
    assert cell.value == pytest.approx(0.45)
    assert cell.std == pytest.approx(0.05 * math.sqrt(2))
    assert "8 differences" in accuracy.caption


def test_bold_follows_the_adjusted_p(run):
    """Bold marks a significant adjusted p, whatever the size of the difference."""
    for table in (*schaudt.accuracy_by_bracket(run), *schaudt.per_class(run)):
        for cell in table.cells.values():
            assert cell.bold == (cell.p_adjusted is not None and cell.p_adjusted < 0.05)


def test_captions_name_the_images(run):
    """The caption has phantom data, the task and the paper."""
    for table in (t for t in of_run(run) if isinstance(t, Table)):
        assert "Phantom data" in table.caption
        assert "Task cxr_pneumonia" in table.caption


def test_table_8_is_the_average_of_table_7(run):
    """Values in images of 20 are those of ``test_changes_average_over_brackets``, within their intervals."""
    _, table = schaudt.change_by_classifier(run)
    assert table.rows == (("one",), ("two",), ("mean",))
    expected = {
        ("one", "a"): 3.5, ("one", "b"): 0, ("one", "Overall"): 1.75,
        ("two", "a"): -0.5, ("two", "b"): 1, ("two", "Overall"): 0.25,
        ("mean", "a"): 1.5, ("mean", "b"): 0.5,
    }  # fmt: skip
    assert {(r[0], c[0]): cell.value for (r, c), cell in table.cells.items()} == pytest.approx(
        {k: v / 20 for k, v in expected.items()}
    )
    for cell in table.cells.values():
        assert cell.low <= cell.value <= cell.high


def test_without_a_baseline_or_images_there_is_no_change(real_alone):
    """Without a baseline or added images there is a reason and no table."""
    (left_out,) = schaudt.change_by_classifier(run_of(two_generators()[1:]))
    assert left_out == LeftOut("change_by_classifier", "there is no finished row real_only to change from")
    (left_out,) = schaudt.change_by_classifier(real_alone)
    assert left_out.reason == "no finished row adds images"


def test_table_9_has_the_primary_bracket_first_and_marks_the_best(run):
    """On b, generator one is best at +1, where recall of left is (6 + 8) / 20."""
    (table,) = schaudt.per_class(run)
    recall = [row for row in table.rows if row[:2] == ("b", "Recall")]
    assert recall == [
        ("b", "Recall", "real_only", "none added"),
        ("b", "Recall", "one", "+2"),
        ("b", "Recall", "one", "+1 (best)"),
        ("b", "Recall", "two", "+2 (best)"),
    ]
    assert value(table, recall[2], ("left",)) == pytest.approx(0.7)
    # precision of left on b at +2 of generator two: 9 of 9 + 3, and 8 of 8 + 2
    assert value(table, ("b", "Precision", "two", "+2 (best)"), ("left",)) == pytest.approx(
        (9 / 12 + 0.8) / 2
    )


def folded(row: str, each: Sequence[tuple[int, int]], bracket: int = 0) -> Bundle:
    """Return a cross-validation with one training per fold."""
    table = pd.concat([predictions({(bracket, "a", 0): right}, fold) for fold, right in enumerate(each)])
    role = "generator" if bracket else "control"
    return bundle(row, table, role, folds=len(each), seeds=[0], brackets=[bracket or 1],
                  primary_bracket=bracket or 1)  # fmt: skip


def test_zhangs_table_has_a_value_per_fold():
    """Recalls of left are 0.6 and 0.8; accuracy, 0.7 and 0.8, is shown with the first class only."""
    run = run_of([folded("real_only", [(6, 8), (8, 8)]), folded("one", [(9, 9), (10, 10)], 1)])
    (table,) = folds.tables(run)
    assert table.rows == (("real_only", "left"), ("real_only", "right"), ("one", "left"), ("one", "right"))
    recall = table.cells[("real_only", "left"), ("Recall",)]
    assert (recall.value, recall.std) == (pytest.approx(0.7), pytest.approx(0.1 * math.sqrt(2)))
    assert value(table, ("real_only", "left"), ("Accuracy",)) == pytest.approx(0.75)
    assert value(table, ("one", "left"), ("Balanced accuracy",)) == pytest.approx(0.95)
    assert table.cells[("one", "right"), ("Accuracy",)].text == ""
    assert "its own held-out images" in table.caption


def test_without_folds_there_is_no_table_of_folds(run):
    """There is no table without folds, and none for a multi-label task."""
    assert folds.tables(run) == [LeftOut("folds", "the task has no folds")]
    (left_out,) = auroc_by_finding.tables(run)
    assert "one label" in left_out.reason


def several_labels(row: str, score: Sequence[Sequence[float]]) -> Bundle:
    """Return four images with two findings: the first on the first two, the second on the first and third."""
    label = np.array([[1, 1], [1, 0], [0, 1], [0, 0]])
    table = pd.DataFrame({
        "image_id": list("abcd"), "patient_id": list("abcd"), "split": "test", "bracket": 0,
        "classifier": "a", "seed": 0, "fold": 0, "run": "a/0", "label": -1,
        **{f"label_{k}": label[:, k] for k in range(2)},
        **{f"score_{k}": np.array(score, dtype=float)[:, k] for k in range(2)},
    })  # fmt: skip
    metric = {"name": "auroc", "direction": "maximize"}
    return bundle(row, table, labels="multilabel", primary_metric=metric, seeds=[0])


def test_segals_table_has_real_images_last():
    """The first finding has 4 of 4 pairs in order, the second 2 of 4; the average is 0.75."""
    real = several_labels("real_only", [(0.9, 0.9), (0.8, 0.6), (0.2, 0.3), (0.1, 0.5)])
    other = several_labels("oversample", [(0.1, 0.1), (0.1, 0.1), (0.1, 0.1), (0.1, 0.1)])
    (table,) = auroc_by_finding.tables(run_of([real, other]))
    assert [c.key for c in table.columns] == [("oversample",), ("real_only",)]
    assert table.rows == (("left",), ("right",), ("Average",))
    each = [value(table, row, ("real_only",)) for row in table.rows]
    assert each == pytest.approx([1.0, 0.5, 0.75])
    assert value(table, ("Average",), ("oversample",)) == pytest.approx(0.5)


def of_finding(finding: str, right: tuple[int, int]) -> Run:
    """Return a run of ``real_only`` on one finding."""
    scenario = {"label": {"rule": "label_policy", "finding": finding}}
    metric = {"name": "f1", "direction": "maximize"}
    table = predictions({(0, "a", 0): right, (0, "a", 1): right})
    own = bundle("real_only", table, scenario=scenario, primary_metric=metric, positive="right")
    return run_of([own], **{"label.finding": finding})


def test_lans_tables_have_a_row_per_variant_and_columns_per_finding():
    """F1 of right is 16 / 22 with 8 true and 4 false positives, and 0.5 with 5 and 5."""
    runs = [of_finding("Pneumothorax", (6, 8)), of_finding("Pleural Effusion", (5, 5))]
    table, by_finding = strategies.tables(runs)
    assert table.row_heads == ("label.finding", "Row")
    assert table.rows == (("Pneumothorax", "real_only"), ("Pleural Effusion", "real_only"))
    assert [c.key[0] for c in table.columns] == [
        "Accuracy", "Balanced accuracy", "F1", "AUROC", "Cohen’s kappa",
    ]  # fmt: skip
    assert value(table, table.rows[0], ("F1",)) == pytest.approx(16 / 22)
    assert value(table, table.rows[0], ("Cohen’s kappa",)) == pytest.approx(0.4)
    assert by_finding.rows == (("real_only",),)
    assert [c.key for c in by_finding.columns][::2] == [("Pneumothorax", "F1"), ("Pleural Effusion", "F1")]
    assert value(by_finding, ("real_only",), ("Pleural Effusion", "F1")) == pytest.approx(0.5)


def test_lans_columns_by_finding_need_several_findings(run):
    """A single run has one finding, so there is no such table."""
    _, left_out = strategies.tables([run])
    assert left_out == LeftOut("choices_by_finding", "the runs do not differ in the finding")


def figure(estimate: float | None) -> dict[str, float | None]:
    """Return a figure of merit, with an interval if it has one."""
    return {"estimate": estimate, "low": estimate and estimate - 0.1, "high": estimate and estimate + 0.1}


def with_quality(run: Run) -> Run:
    """Return the run with figures of merit in its comparison."""
    metrics = [
        {"name": "auprc", "title": "AUPRC", "meaning": "m", "direction": "maximize", "percent": False},
        {"name": "brier", "title": "Brier score", "meaning": "m", "direction": "minimize", "percent": False},
    ]
    quality_by_row = {
        "real_only": {
            "overall": {"auprc": figure(0.6), "brier": figure(0.3)},
            "per_class": {"left": {"auprc": figure(0.5)}, "right": {"auprc": figure(None)}},
            "versus_real_only": None,
            "calibration": {"bins": []},
        }
    }
    metrics = [m | {"overall": True, "per_class": True} for m in metrics]
    settings = run.comparison.settings.to_json() | {"quality_metrics": metrics}
    return with_fields(run, settings=settings, quality=quality_by_row)


def test_figures_of_merit_are_overall_and_by_class(run):
    """Figures have intervals; undefined figures are left out."""
    table = quality.tables(with_quality(run))[0]
    assert table.rows == (("real_only", "all"), ("real_only", "left"), ("real_only", "right"))
    cell = table.cells[("real_only", "all"), ("Brier score",)]
    assert (cell.value, cell.low, cell.high) == (0.3, pytest.approx(0.2), pytest.approx(0.4))
    assert value(table, ("real_only", "left"), ("AUPRC",)) == 0.5
    assert (("real_only", "right"), ("AUPRC",)) not in table.cells


def test_worth_in_real_images_has_its_bounds(run):
    """The primary bracket is first and the best one marked; bounds of the law are in words, numbers in the
    CSV."""
    (table,) = equivalent.tables(with_curve(run))
    assert table.rows == (("one", "+2"), ("one", "+1 (best)"), ("two", "+2"))
    cell = table.cells[("one", "+2"), ("Worth in real images",)]
    assert cell.text == "+50 [−12, more than +100]"
    assert (cell.value, cell.low, cell.high) == (50.0, -12.4, 100.0)
    assert table.cells[("one", "+1 (best)"), ("Real images that do as well",)].text == "170"
    assert table.cells[("two", "+2"), ("Worth in real images",)].text == "unknown"
    assert table.notes == ("Unknown: it is flat.",)


def test_worth_in_real_images_is_that_of_the_comparison():
    """With 20, 40 and 80 images ``real_only`` has 10, 12 and 14 of 20 correct, the generator 15."""
    parts = [
        predictions({(0, "a", s): right for s in (0, 1)}).assign(share=share, images=images)
        for share, images, right in ((0.25, 20, (5, 5)), (0.5, 40, (6, 6)))
    ]
    rows = {"real_only": {(0, "a", s): (7, 7) for s in (0, 1)}, "one": {(1, "a", s): (8, 7) for s in (0, 1)}}
    same = {"brackets": [1], "primary_bracket": 1}
    bundles = [bundle(n, predictions(right), **same) for n, right in rows.items()]
    plain = run_of(bundles)
    comparison = compare(records(bundles), pd.concat(parts, ignore_index=True))
    run = Run(plain.manifests, comparison, plain.breakdown, {})
    (table,) = equivalent.tables(run)
    record = comparison.equivalent["one"].primary
    assert value(table, ("one", "+1"), ("Difference to real_only",)) == pytest.approx(0.05)
    assert value(table, ("one", "+1"), ("Worth in real images",)) == record.images
    assert "subsets of the 80 training images" in table.caption
    with draw.style():
        assert shapes.learning_curve(run).figure.axes[0].get_xlabel() == "Real training images"


def test_without_a_learning_curve_there_is_no_worth(run):
    """Without a learning curve there is a reason and no table."""
    assert equivalent.tables(run) == [LeftOut("equivalent", "there is no learning curve of real_only")]
