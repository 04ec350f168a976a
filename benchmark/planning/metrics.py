"""Resolve the metrics of a run, with validated parameters."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmark.errors import TaskError
from benchmark.plugins.metric import check_metric
from benchmark.plugins.registry import find
from benchmark.stages.metrics import MetricReference
from benchmark.tasks.parsing import parse

TAKEN = ("filter_pass_rate", "gan_test")  # figures of other stages; names of the second begin so


def resolve_metrics(
    declared: Mapping[str, Mapping[str, Any]], added: Sequence[str]
) -> tuple[MetricReference, ...]:
    """Return the metrics of a profile, then those that the user adds.

    Args:
        declared: parameters by name or path of a Python file.
        added: names or paths.
    Raises:
        TaskError: an unknown or repeated name, a broken contract, or a wrong parameter.
    """
    given = [*((name, "measures.metrics") for name in declared), *((name, "--metrics") for name in added)]
    plugins = find("metrics", [name for name, _ in given])
    references: list[MetricReference] = []
    for (text, where), plugin in zip(given, plugins, strict=True):
        if plugin.name in [reference.name for reference in references]:
            raise TaskError(where, f"'{plugin.name}' is named twice", "Name every metric once.")
        if plugin.name.startswith(TAKEN):
            raise TaskError(where, f"'{plugin.name}' is a figure of the suite", "Rename the metric.")
        module = plugin.load()
        kind = check_metric(module, plugin)
        params = parse(module.Params, declared.get(text, {}), f"metric '{plugin.name}': params")
        references.append(
            MetricReference(
                name=plugin.name,
                origin=plugin.origin,
                version=plugin.version(module),
                target=plugin.target,
                params=params.model_dump(mode="json"),
                needs=tuple(sorted(kind.needs)),
                optional=tuple(sorted(getattr(kind, "optional", ()))),
            )
        )
    return tuple(references)
