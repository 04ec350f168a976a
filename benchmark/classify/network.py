"""Build a classifier from its recipe."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.errors import ClassifierError, unknown_name
from benchmark.recipe import Recipe

if TYPE_CHECKING:
    from torch import nn


def build(recipe: Recipe, n_classes: int) -> nn.Module:
    """A timm network for one-channel images, with the recipe's initial weights and no others.

    Args:
        recipe: architecture, weights, dropout before the last layer.
        n_classes: outputs.
    Raises:
        UnknownNameError: timm has no such architecture.
        ClassifierError: the weights cannot be had or do not fit.
    """
    import timm

    where = f"classifier '{recipe.name}'"
    if not timm.is_model(recipe.timm):
        raise unknown_name("timm architecture", recipe.timm, timm.list_models(), where)
    options = dict(recipe.timm_kwargs, num_classes=n_classes, in_chans=1, drop_rate=recipe.dropout)
    if recipe.weights.kind == "none":
        return timm.create_model(recipe.timm, pretrained=False, **options)
    if recipe.weights.kind == "file":
        path = recipe.weights.path
        if path is None or not path.is_file():
            raise ClassifierError(
                where, f"weights file '{path}' is missing", "Give the path of a safetensors file."
            )
        options["pretrained_cfg_overlay"] = {"file": str(path)}
    return _pretrained(recipe.timm, options, where)


def _pretrained(name: str, options: dict[str, Any], where: str) -> nn.Module:
    import timm

    offline = os.environ.get("HF_HUB_OFFLINE", "")
    os.environ.setdefault("HF_HUB_DOWNLOAD_TIMEOUT", "10")
    try:
        return timm.create_model(name, pretrained=True, **options)
    except Exception as error:  # the hub client raises many kinds
        raise ClassifierError(
            where,
            f"no pretrained weights of '{name}': {type(error).__name__}: {str(error).splitlines()[0]}",
            ("HF_HUB_OFFLINE is set: " if offline else "")
            + "Download them once, or set weights in the task to a local file (kind: file) or to none.",
        ) from error


def penultimate(network: nn.Module, batch: Any) -> Any:
    """(B, D) features before the last linear layer."""
    net: Any = network
    return net.forward_head(net.forward_features(batch), pre_logits=True)


def last_layer(network: nn.Module) -> Any:
    """The last linear layer."""
    net: Any = network
    return net.get_classifier()


def save(network: nn.Module, path: Path) -> None:
    """Write the weights as safetensors."""
    from safetensors.torch import save_file

    save_file({k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}, path)


def load(recipe: Recipe, n_classes: int, path: Path) -> nn.Module:
    """The network that ``save`` wrote."""
    from safetensors.torch import load_file

    network = build(recipe, n_classes)
    network.load_state_dict(load_file(path))
    return network
