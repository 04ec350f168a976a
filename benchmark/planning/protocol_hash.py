"""Hash of a protocol: the task's settings, and all code and weights that the rows of a board share."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmark import statistics
from benchmark.classifiers.versions import TRAINING, augmentation_version
from benchmark.metrics.extractor import features
from benchmark.planning.metrics import resolve_metrics
from benchmark.stages import STAGES, config_type
from benchmark.stages.metrics import OF_SEGMENTER
from benchmark.tasks.schema import Task
from benchmark.utils.hashing import sha256_file, sha256_of
from benchmark.utils.training_state import PRECISION


def protocol_hash(task: Task, profile: str, source: str, extractor: str) -> str:
    """Return the SHA-256 of everything that two comparable results share.

    A generator's version and parameters do not count, nor do metrics that a run adds. The data have a
    fingerprint of their own. The processor does not count: docs/leaderboards.md says what another one
    changes, and a board names the rows that ran on different ones.
    """
    settings = task.settings_hash(profile, source, extractor)
    return sha256_of([settings, shared_code(task, profile, source, extractor)])


def shared_code(task: Task, profile: str, source: str, extractor: str) -> dict[str, Any]:
    """Return the versions of the code that all rows share, the hash of the extractor, and the precision."""
    chosen = task.profile(profile)
    pipelines = sorted({classifier.augmentation for classifier in chosen.classifiers})
    return {
        "stages": {name: config_type(name).version for name in stages_of(task, profile, source)},
        "training": TRAINING,
        "augmentations": {name: augmentation_version(name) for name in pipelines},
        "metrics": _metric_versions(chosen.measures.metrics),
        "statistics": statistics.VERSION,
        "extractor": extractor_hash(extractor),
        "precision": PRECISION,
    }


def stages_of(task: Task, profile: str, source: str) -> list[str]:
    """Return the stages that a run of the task may have, whatever its rows."""
    rules = task.steps(profile, source).values()
    metrics = resolve_metrics(task.profile(profile).measures.metrics, ())
    absent = {
        "pseudo_label": not any(getattr(rule, "uncertain", "") == "self_trained" for rule in rules),
        "quality_filter": task.mix.filter == "none",
        "select": task.mix.fit_on != "misclassified",
        "learning_curve": not task.profile(profile).learning_curve,
        "segment": not any(OF_SEGMENTER & metric.inputs for metric in metrics),
    }
    return [name for name in STAGES if not absent.get(name)]


def extractor_hash(name: str) -> str:
    """Return the SHA-256 of an extractor's weights; that of Inception is known without its file."""
    if name == features.INCEPTION:
        return features.INCEPTION_SHA256
    return sha256_file(Path(features.__file__).parent / f"{name}.safetensors")


def _metric_versions(declared: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    return {metric.name: metric.version for metric in resolve_metrics(declared, ())}
