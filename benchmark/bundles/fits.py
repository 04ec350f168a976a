"""Join the results of a generator's fits into those of its row."""

from collections.abc import Mapping, Sequence

from benchmark.bundles.folds import joined_gate, joined_measures, mean_measures
from benchmark.stages.measure import Memorization
from benchmark.stages.records import Measure


def measures_over_fits(fits: Mapping[int, Sequence[dict[str, Measure]]]) -> dict[str, Measure]:
    """Return the mean of every measure over fits, each joined over its folds, with the value of every fit.

    Args:
        fits: measures by fit seed, fold by fold.
    """
    joined = {seed: joined_measures(folds) for seed, folds in fits.items() if folds}
    if len(joined) <= 1:
        return next(iter(joined.values()), {})
    means = {}
    for name, mean in mean_measures(list(joined.values())).items():
        values = {seed: own[name].value for seed, own in joined.items()}
        span = (min(values.values()), max(values.values()))
        means[name] = mean.model_copy(update={"by_fit": values, "fit_range": span})
    return means


def worst_gate(fits: Mapping[int, Sequence[Memorization]]) -> Memorization | None:
    """Return the memorization gate of the fit that copies most, each joined over its folds."""
    gates = {seed: gate for seed, folds in fits.items() if (gate := joined_gate(folds))}
    if len(gates) <= 1:
        return next(iter(gates.values()), None)
    worst = max(gates, key=lambda seed: (gates[seed].gated, gates[seed].rate, -seed))
    return gates[worst].model_copy(
        update={
            "fit": worst,
            "by_fit": {seed: gate.rate for seed, gate in gates.items()},
            "blind": any(gate.blind for gate in gates.values()),
        }
    )
