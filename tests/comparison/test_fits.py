"""Comparison of generators that are fitted several times."""

import numpy as np
import pytest

from benchmark.bundles.io import read_bundles
from benchmark.comparison.align import align
from benchmark.comparison.breakdown import breakdown
from benchmark.comparison.compare import compare
from benchmark.comparison.compared_rows import ComparedRows
from benchmark.statistics import fits, intervals
from support.make_bundles import BINARY, FOLDS, make_bundles

ROWS = ("real_only", "duplicate_real", "ddpm", "stylegan")


def bundles(folder, seeds=(0, 1, 2), fit_seeds=(0, 1), **options):
    make_bundles(folder, rows=ROWS, seeds=seeds, fits=fit_seeds, **options)
    return [(b.manifest.record(), b.predictions) for b in read_bundles(folder)]


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """Write rows of which two generators have two fits."""
    return bundles(tmp_path_factory.mktemp("fits"), test_counts=(60,) * 5, paper_counts=None)


@pytest.fixture(scope="module")
def compared(given):
    return ComparedRows(align(given), "test", 250)


def test_a_rows_figure_is_the_mean_over_its_fits(given, compared):
    """Runs are means over fits, and the values of fits are those of scikit-learn."""
    from sklearn.metrics import balanced_accuracy_score

    table = next(p for m, p in given if m["row"]["name"] == "ddpm")
    table = table[table["bracket"] == 250]
    expected = {
        group: balanced_accuracy_score(part["label"], part.filter(like="score_").to_numpy().argmax(1))
        for group, part in table.groupby(["fit", "seed"])
    }
    own = compared.primary
    values = np.array(list(expected.values())).reshape(2, 3)
    assert own.training_values("ddpm") == pytest.approx(values.ravel())
    assert own.run_values("ddpm") == pytest.approx(values.mean(0))
    assert own.over_fits("ddpm")["fit_values"] == pytest.approx(values.mean(1))
    assert own.over_fits("real_only") == {}
    assert own.mean("ddpm")["estimate"] == pytest.approx(values.mean())


def test_intervals_add_the_variance_of_the_generators_fits(compared):
    """The variance of a difference is that of the means over fits, and that of every row's fits."""
    own = compared.primary
    pooled = fits.between_fits([own.by_fit[n].mean(-1) for n in ("ddpm", "stylegan")])
    assert pooled is not None
    added = {n: fits.fit_variance(own.by_fit[n], own.patient, pooled) for n in ("ddpm", "stylegan")}
    by_run = np.array([v.mean(-1) for v in own.values.values()])
    versus = intervals.pooled_difference(by_run)
    for b, between in (("real_only", []), ("stylegan", [added["stylegan"]])):
        plain = intervals.interval(
            own.values["ddpm"] - own.values[b], own.patient, versus, alpha=0.05, power=0.8
        )
        variance = plain.se**2 + added["ddpm"].added + sum(f.added for f in between)
        assert own.difference("ddpm", b).se == pytest.approx(np.sqrt(variance))
    assert own.difference("duplicate_real", "real_only").parts.fits is None


def test_the_variance_shows_the_fits(given):
    """Shares of patients, trainings and fits sum to 1, and the components have the factor fit."""
    result = compare(given)
    sources = result.primary["ddpm"].metrics["balanced_accuracy"].sources
    assert sources is not None
    assert sources.patients + sources.trainings + sources.fits == pytest.approx(1)
    assert sources.fits > 0
    assert "fit" in {c.source for c in result.variance.components}
    assert result.primary["real_only"].metrics["balanced_accuracy"].fit_values is None
    assert not any("fitted once" in note for note in result.notes)


@pytest.mark.parametrize(("fit_seeds", "count"), [((0,), 1), ((0, 1), 0)])
def test_a_note_states_that_one_fit_hides_refits(tmp_path, fit_seeds, count):
    """With one fit the notes state once that refits are not in the interval."""
    result = compare(bundles(tmp_path, fit_seeds=fit_seeds, test_counts=(12,) * 5, paper_counts=None))
    assert sum("refits are not in the interval" in note for note in result.notes) == count
    assert (
        "fit" not in {*result.variance.left_out, *(c.source for c in result.variance.components)} or not count
    )


@pytest.mark.parametrize("variant", [BINARY, FOLDS])
def test_every_kind_of_task_takes_several_fits(tmp_path, variant):
    """Folds, subgroups, further splits and the papers' tables take fits."""
    given = bundles(tmp_path, variant=variant, seeds=(0, 1))
    result = compare(given)
    for split in result.figures:
        assert len(result.figures[split][250]["ddpm"].metrics["accuracy"].fit_values) == 2
    assert result.subgroups["ddpm"]["sex"]["female"].se is not None
    tables = breakdown(given)
    cell = next(c for c in tables.classifiers if (c.row, c.bracket, c.metric) == ("ddpm", 250, "accuracy"))
    assert cell.n == 2 * len(result.splits["test"].runs)
    assert tables.changes


def test_fits_in_any_order_give_the_same_record(given):
    """The order of the predictions does not matter."""
    shuffled = [(m, p.sample(frac=1, random_state=1)) for m, p in given]
    assert compare(shuffled).to_json() == compare(given).to_json()
