"""Software, hardware, device and precision of a bundle: what the workers of its stages recorded."""

from collections.abc import Iterable, Mapping
from typing import Any

from benchmark.bundles.schema import Provenance
from benchmark.engine.node import Graph, Node
from benchmark.engine.sandbox.level import LEVELS
from benchmark.engine.store import Result
from benchmark.stages.plugin import GeneratorStageConfig

Values = dict[str, dict[str | int, set[str]]]  # by property and value, the stages that had it


def provenance_fields(
    graph: Graph, results: Mapping[str, Result], row: str, *, device: str, precision: str
) -> dict[str, Any]:
    """Return the fields of ``bundle.json`` that say with what a row was computed.

    The row's stages are its nodes and all that they depend on. A property in which they differ
    has the list of its values.

    Args:
        results: by node id; those of failed nodes are absent.
        device: of the plan, and so of every cache key, for stages that have not recorded theirs.
        precision: likewise.
    """
    nodes = [node for node in graph.needed(lambda n: n.row == row) if node.id in results]
    recorded = [(node.stage, results[node.id].environment) for node in nodes]
    known = [(stage, environment) for stage, environment in recorded if environment is not None]
    unrecorded = {stage for stage, environment in recorded if environment is None}
    software = _values((stage, e.software) for stage, e in known)
    hardware = _values((stage, e.hardware) for stage, e in known)
    provenance = Provenance(
        mixed=_mixed(software | hardware),
        unrecorded=tuple(sorted(unrecorded)),
        isolation=_isolation([(node, results[node.id]) for node in nodes]),
    )
    used = {e.device for _, e in known}
    return {
        "software": _joined(software),
        "hardware": _joined(hardware),
        "device": device if unrecorded or not used else max(used),  # a stage without networks is on the CPU
        "precision": next((e.precision for _, e in known if e.precision), precision),
        "provenance": provenance.model_dump(mode="json"),
    }


def _isolation(computed: Iterable[tuple[Node, Result]]) -> Any:
    """Return the weakest isolation of the stages that ran a generator from outside; None without one."""
    environments = [
        result.environment
        for node, result in computed
        if isinstance(node.config, GeneratorStageConfig) and not node.config.plugin.trusted
    ]
    levels = [(e.isolation if e else None) or "none" for e in environments]
    return max(levels, key=[*LEVELS, "none"].index, default=None)


def _values(records: Iterable[tuple[str, Mapping[str, str | int]]]) -> Values:
    values: Values = {}
    for stage, record in records:
        for name, value in record.items():
            values.setdefault(name, {}).setdefault(value, set()).add(stage)
    return values


def _joined(values: Values) -> dict[str, Any]:
    return {name: next(iter(own)) if len(own) == 1 else sorted(own, key=str) for name, own in values.items()}


def _mixed(values: Values) -> dict[str, dict[str, tuple[str, ...]]]:
    return {
        name: {str(value): tuple(sorted(own[value])) for value in sorted(own, key=str)}
        for name, own in values.items()
        if len(own) > 1
    }
