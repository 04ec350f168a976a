"""Names, tags, parameters and files by which MLflow shows a run and its nodes."""

import re
from typing import Any

from benchmark.engine.node import Node
from benchmark.experiments.mlflow_writer import own_process
from benchmark.planning.plan import Plan
from benchmark.stages.data import DataResult

ARTIFACTS = {
    "data": ("grid.png", "result.json"),
    "fit": ("previews.png", "result.json"),
    "resized_data": ("grid.png",),
    "generate": ("grid.png",),
    "measure": ("result.json",),
    "classify": ("confusion.png", "predictions.parquet"),
    "learning_curve": ("curve.parquet",),
    "select": ("boundary.png", "result.json"),
    "quality_filter": ("grid.png", "dropped.png", "result.json"),
    "gan_test": ("result.json",),
}


def own_tags(plan: Plan) -> dict[str, str]:
    """Return the tags of every run of this process."""
    return {"task": plan.task.name, "profile": plan.profile_name, **own_process()}


def parent_tags(plan: Plan, verb: str) -> dict[str, str]:
    """Return the tags of the parent run."""
    return own_tags(plan) | {
        "mlflow.runName": f"{verb} {plan.task.name} {plan.profile_name} {plan.source}",
        "source": plan.source,
        "stage": verb,
        "protocol": plan.protocol_hash,
    }


def parent_params(plan: Plan) -> dict[str, Any]:
    """Return the parameters of the parent run."""
    return {
        "device": plan.device,
        "precision": plan.precision,
        "extractor": plan.extractor,
        "image_size": plan.profile.image_size,
        "brackets": list(plan.profile.brackets),
        "seeds": list(plan.profile.seeds),
        "rows": [r.name for r in plan.rows],
        **plan.chosen,
        **plan.settings,
    }


def node_tags(plan: Plan, node: Node) -> dict[str, str]:
    """Return the tags by which nodes of one stage differ."""
    return node.tags | ({"fold": str(node.fold)} if len(plan.folds) > 1 else {})


def datasets(plan: Plan, data: DataResult) -> list[dict[str, str]]:
    """Return the splits as MLflow lists them."""
    return [
        {
            "name": f"{plan.source}:{name}",
            "split": name,
            "source": plan.source,
            "digest": split.hash[:32],
            "profile": str(split.model_dump(include={"images", "patients", "counts"}))[:4000],
        }
        for name, split in data.splits.items()
    ]


def metric_name(name: str) -> str:
    """Return a name that MLflow accepts; the name may hold that of a class."""
    return re.sub(r"[^\w\-. :/]", "_", name)


def run_name(node: Node) -> str:
    """Return the name of a nested run, by which runs of several generators sort and compare at a glance."""
    if node.stage == "classify":
        fit = f" fit {node.fit}" if node.fit else ""
        return f"classify {node.row}{fit} +{node.bracket} {node.classifier} seed {node.seed}"
    if node.stage == "learning_curve":
        return f"learning_curve {node.share:g} {node.classifier} seed {node.seed}"
    config, part = node.config, str(getattr(node.config, "of_class", ""))
    if getattr(config, "unit", "") == "per_image" and node.stage == "fit":
        part += f" {getattr(config, 'number', '')}"
    fit = f"fit {node.fit}" if node.fit else ""
    return " ".join(word for word in (node.stage, node.row, fit, part) if word)
