"""Expected outcomes of the controls."""

from typing import Any

import pytest

from benchmark.comparison.controls import Controls
from benchmark.comparison.records import ControlOutcome, MetricCard
from benchmark.comparison.row_records import BaselineDifference, MetricFigures, RowFigures


def card(name: str, noun: str, percent: bool) -> MetricCard:
    """Return a primary metric."""
    return MetricCard(name=name, title="", noun=noun, meaning="", percent=percent)


ACCURACY = card("balanced_accuracy", "balanced accuracy", True)


def row(
    mean: float, low: float | None = None, high: float | None = None, metric: str = ACCURACY.name
) -> RowFigures:
    """Return the figures of a row with its difference to both baselines."""
    versus = {}
    if low is not None:
        record = BaselineDifference.model_construct(estimate=(low + high) / 2, low=low, high=high)
        versus = {b: {metric: record} for b in ("real_only", "duplicate_real")}
    return RowFigures.model_construct(
        metrics={metric: MetricFigures.model_construct(estimate=mean)}, versus=versus
    )


def outcomes(
    figures: dict, gates: dict, failed: tuple = (), metric: MetricCard = ACCURACY, **options: Any
) -> list[ControlOutcome]:
    """Return the outcome of every claim."""
    return Controls(figures, gates, failed, metric, **options).outcomes()


def gate(rate: float, gated: bool, blind: bool = False) -> dict:
    """Return a memorization record."""
    return {"rate": rate, "expected": 0.01, "interval": [rate, rate], "gated": gated, "blind": blind}


FIGURES = {
    "real_only": row(0.6),
    "duplicate_real": row(0.62, 0.0, 0.04),
    "oracle": row(0.7, 0.05, 0.15),
    "copycat": row(0.61, -0.02, 0.04),
    "noise": row(0.5, -0.14, -0.06),
}
GATES = {
    "real_only": None,
    "duplicate_real": gate(1.0, True),
    "oracle": gate(0.01, False),
    "copycat": gate(0.96, True),
    "noise": gate(0.0, False),
}


def held(figures: dict, gates: dict) -> dict:
    """Return the outcome by claim."""
    return {c.id: c.held for c in outcomes(figures, gates)}


def test_all_claims_hold_when_the_controls_behave():
    """Claims hold if the oracle beats both baselines, only the copycat is gated, and noise is last."""
    assert set(held(FIGURES, GATES).values()) == {True}


@pytest.mark.parametrize(
    ("name", "figures", "gates", "claim"),
    [
        ("oracle", row(0.62, -0.01, 0.05), gate(0.01, False), "oracle_beats_real_only"),
        ("oracle", row(0.7, 0.05, 0.15), gate(0.3, True), "others_spared"),
        ("copycat", row(0.61, 0, 0.02), gate(0.01, False), "copycat_caught"),
        ("noise", row(0.605, -0.01, 0.02), gate(0.0, False), "noise_last"),
    ],
)
def test_each_claim_can_fail(name, figures, gates, claim):
    """A claim fails if its control misbehaves."""
    assert held({**FIGURES, name: figures}, {**GATES, name: gates})[claim] is False


def test_a_missing_or_failed_row_cannot_be_judged():
    """Without the oracle its claim is open; the evidence states whether the row failed or is absent."""
    without = {n: f for n, f in FIGURES.items() if n != "oracle"}
    results = outcomes(without, {n: GATES[n] for n in without}, ("oracle",))
    assert results[0].held is None
    assert results[0].evidence == "The row 'oracle' failed."
    assert outcomes({}, {})[0].evidence == "There is no row 'oracle'."


def test_evidence_gives_numbers():
    """The evidence has the numbers behind the outcome."""
    evidence = outcomes(FIGURES, GATES)[0].evidence
    assert evidence == "oracle minus real_only is +10.0 points [+5.0, +15.0] of balanced accuracy."


def test_a_blind_gate_is_reported():
    """The evidence names a gate that misses planted copies, whatever its result for the row."""
    results = {c.id: c for c in outcomes(FIGURES, {**GATES, "copycat": gate(0.0, False, blind=True)})}
    assert "blind" in results["copycat_caught"].evidence


def test_words_follow_the_primary_metric():
    """A task ranked by F1 has decimal F1 in the evidence, and differences in points of F1."""
    f1 = card("f1", "F1", False)
    figures = {
        name: row(0.0, metric="f1").model_copy(
            update={
                "metrics": {"f1": figure.metrics[ACCURACY.name]},
                "versus": {b: {"f1": d[ACCURACY.name]} for b, d in figure.versus.items()},
            }
        )
        for name, figure in FIGURES.items()
    }
    results = {c.id: c for c in outcomes(figures, GATES, metric=f1)}
    assert results["oracle_beats_real_only"].evidence.endswith("+10.0 points [+5.0, +15.0] of F1.")
    assert results["noise_last"].claim == "noise has the lowest F1 of all rows"
    assert "noise has 0.500, the lowest other row (real_only) 0.600" in results["noise_last"].evidence


def test_noise_is_not_condemned_where_it_changes_the_balance_of_the_classes():
    """Noise for one class can help by changing the class balance: the claim is shown and not decisive."""
    figures = FIGURES | {"noise": row(0.66, 0.01, 0.11)}
    (claim,) = (c for c in outcomes(figures, GATES, rebalances=True) if c.id == "noise_last")
    assert (claim.held, claim.decisive) == (False, False)
    assert "clearly above real_only (+6.0 points [+1.0, +11.0])" in claim.evidence
    assert "changes the balance of the classes" in claim.evidence


def test_the_oracle_is_held_against_the_yardstick():
    """If real_only is the ceiling, the oracle is compared with another row."""
    ids = [c.id for c in outcomes(FIGURES, GATES, yardstick="duplicate_real")]
    assert ids[0] == "oracle_beats_duplicate_real"
