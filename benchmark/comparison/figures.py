"""The figures of every row at one bracket: metrics, differences to the baselines, and single classes."""

from typing import Any

from benchmark.comparison import significance_tests
from benchmark.comparison.aligned_rows import Protocol
from benchmark.comparison.compared_rows import ComparedRows
from benchmark.comparison.controls import COPIES
from benchmark.comparison.row_records import RowFigures

BASELINE = "real_only"


def baselines(protocol: Protocol) -> tuple[str, ...]:
    """Return the rows that every row is compared with."""
    noise = ("noise",) if protocol.rebalances else ()
    return tuple(dict.fromkeys((BASELINE, COPIES, protocol.yardstick, *noise)))


def figures(compared: ComparedRows) -> dict[str, RowFigures]:
    """Return the figures by row."""
    protocol = compared.protocol
    versus = {
        base: {metric: _differences(compared, metric, base) for metric in protocol.metrics}
        for base in baselines(protocol)
        if base in compared.rows
    }
    classes = {label: _class_figures(compared, k) for k, label in enumerate(protocol.classes)}
    mcnemar = significance_tests.mcnemar_by_row(compared, BASELINE)
    delong = significance_tests.delong_by_row(compared, BASELINE)
    return {
        name: RowFigures(
            own_bracket=bracket,
            metrics={
                m: {**own.mean(name), "run_values": own.run_values(name), **own.over_fits(name)}
                for m, own in ((m, compared.metric(m)) for m in protocol.metrics)
            },
            per_class={label: rows[name] for label, rows in classes.items()},
            versus={
                base: {metric: records[name] for metric, records in by_metric.items()}
                for base, by_metric in versus.items()
                if base != name
            },
            mcnemar=mcnemar.get(name),
            delong=delong.get(name),
        )
        for name, (_, bracket) in compared.rows.items()
    }


def _differences(compared: ComparedRows, metric: str, base: str) -> dict[str, Any]:
    """Paired differences of the other rows to a baseline, adjusted for the number of rows."""
    protocol, values = compared.protocol, compared.metric(metric)
    records = {
        name: significance_tests.difference_record(
            values.difference(name, base), protocol.margin, protocol.alpha
        )
        for name in compared.rows
        if name != base
    }
    significance_tests.add_adjusted(records.values(), protocol.correction)
    return records


def _class_figures(compared: ComparedRows, k: int) -> dict[str, dict[str, Any]]:
    """Class k by row: recall with its interval, or AUROC for multi-label tasks."""
    multilabel = compared.protocol.kind == "multilabel"
    key, values = ("auroc", compared.class_auroc(k)) if multilabel else ("recall", compared.recall(k))
    return {
        name: {
            key: values.mean(name),
            **rest,
            "versus_real_only": (d := values.versus(name, BASELINE)) and d.record(),
        }
        for name, rest in compared.per_class(k).items()
    }
