"""Rows above ``oracle``: no generator should know more than additional true images tell."""

from collections.abc import Sequence

from benchmark.bundles.schema import Manifest
from benchmark.comparison.records import Comparison
from benchmark.reporting.formats import percent
from benchmark.reporting.leaderboards.findings import Finding

CEILING = "oracle"


def above_oracle(manifests: Sequence[Manifest], comparison: Comparison) -> list[Finding]:
    """Return a finding for every row above ``oracle``, with what the copy detector says of test images."""
    metric, figures = comparison.settings.primary_metric, comparison.primary
    if CEILING not in figures:
        return []
    ceiling = figures[CEILING].metrics[metric.name].estimate
    above = {}
    for manifest in manifests:
        row = manifest.row
        if row.role != "control" and row.name in figures:
            gain = figures[row.name].metrics[metric.name].estimate - ceiling
            if gain > 0:
                above[row.name] = Finding("bad", _sentence(manifest, 100 * gain))
    return [above[name] for name in sorted(above)]


def _sentence(manifest: Manifest, gain: float) -> str:
    gate = manifest.memorization
    share = ((gate.copies if gate else None) or {}).get("test")
    seen = "whether it copies test images is not known"
    if share is not None:
        count = f"{round(share.rate * share.n)} of {share.n} images that were compared"
        seen = (
            f"the copy detector takes {count} for copies of test images ({percent(share.expected)} expected)"
        )
    return (
        f"{manifest.row.name} lies {gain:.1f} points above additional true images ({CEILING}) and needs an "
        f"explanation: {seen}."
    )
