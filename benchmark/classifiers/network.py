"""Build a classifier's network from its configuration, save it, and load it."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.classifiers.weights import check_fit, load_initial_weights
from benchmark.errors import ClassifierError, unknown_name
from benchmark.tasks.classifier import ClassifierConfig, Weights

if TYPE_CHECKING:
    from torch import nn

    from benchmark.classifiers.heads import Classifier


def build(classifier: ClassifierConfig, n_classes: int, *, multilabel: bool = False) -> Classifier:
    """Build a network for one-channel images, with the configured initial weights.

    Args:
        classifier: architecture, head, weights, trained layers, dropout before the last layer.
        n_classes: columns of the logits, at least 2.
    Returns:
        A module from (B, 1, H, W) images to (B, K) logits: of a softmax, or with ``multilabel`` of a sigmoid
        each. Parameters that are not trained do not require a gradient.
    Raises:
        UnknownNameError: timm has no such architecture.
        ClassifierError: the weights are missing, altered or do not fit, or the head does not fit the classes.
    """
    network = _untrained(classifier, n_classes, multilabel=multilabel)
    if classifier.weights.kind != "none":
        load_initial_weights(network, classifier)
    return _frozen(network, classifier)


def check_weights(classifier: ClassifierConfig) -> None:
    """Check that the file of the weights has every tensor of the network, without reading or building either.

    Raises:
        UnknownNameError, ClassifierError: as ``build`` would.
    """
    import torch

    with torch.device("meta"):
        network = _untrained(classifier, 2, multilabel=True)
    check_fit(network, classifier)


def _untrained(classifier: ClassifierConfig, n_classes: int, *, multilabel: bool) -> Classifier:
    """Build the network with random weights, drawn from torch's global generator."""
    import timm

    if not timm.is_model(classifier.timm):
        raise unknown_name("timm architecture", classifier.timm, timm.list_models(), classifier.where)
    single_logit = classifier.head == "sigmoid" and not multilabel
    if single_logit and n_classes != 2:
        raise ClassifierError(
            f"{classifier.where}: head",
            f"'sigmoid' has one logit, but there are {n_classes} classes to choose from",
            "Use head linear, or labels multilabel.",
        )
    if classifier.head == "pocovid":
        return _pocovid(classifier, n_classes)
    return _standard(classifier, 1 if single_logit else n_classes, single_logit)


def _standard(classifier: ClassifierConfig, outputs: int, single_logit: bool) -> Classifier:
    """Split timm's network into body and last layer."""
    from torch import nn

    from benchmark.classifiers.heads import Classifier

    body = _timm(classifier, outputs)
    last = body.get_classifier()
    if not isinstance(last, nn.Linear):
        raise ClassifierError(
            f"{classifier.where}: timm",
            f"'{classifier.timm}' does not end in one linear layer",
            "Choose another.",
        )
    config = body.pretrained_cfg
    body.reset_classifier(0)
    return Classifier(
        body, last, classifier.dropout, single_logit=single_logit, pretrained=body,
        first_conv=str(config["first_conv"]), replaced=(f"{config['classifier']}.",),
    )  # fmt: skip


def _pocovid(classifier: ClassifierConfig, outputs: int) -> Classifier:
    """Build the convolutions of a VGG with the head of POCOVID-Net."""
    from torch import nn

    from benchmark.classifiers.heads import POCOVID_WIDTH, Classifier, pocovid_body

    vgg = _timm(classifier, outputs, mlp_ratio=1 / 4096)  # the hidden layers of ImageNet's head are not used
    convolutions = nn.Sequential(OrderedDict(features=vgg.features))
    return Classifier(
        pocovid_body(convolutions, vgg.num_features), nn.Linear(POCOVID_WIDTH, outputs), classifier.dropout,
        single_logit=False, pretrained=convolutions, first_conv=str(vgg.pretrained_cfg["first_conv"]),
        replaced=("pre_logits.", "head."),
    )  # fmt: skip


def _timm(classifier: ClassifierConfig, outputs: int, **more: Any) -> Any:
    import timm

    options = {**classifier.timm_kwargs, **more}
    try:
        return timm.create_model(
            classifier.timm, pretrained=False, num_classes=outputs, in_chans=1, **options
        )
    except TypeError as error:
        raise ClassifierError(
            f"{classifier.where}: timm_kwargs", str(error), f"Give arguments that '{classifier.timm}' has."
        ) from None


def _frozen(network: Classifier, classifier: ClassifierConfig) -> Classifier:
    """Freeze all but the last ``trained`` layers with weight matrices; normalizations do not count."""
    if classifier.trained == "all":
        return network
    layers = [m for m in network.modules() if any(p.ndim > 1 for p in m.parameters(recurse=False))]
    if classifier.trained > len(layers):
        raise ClassifierError(
            f"{classifier.where}: trained",
            f"is {classifier.trained}, the network has {len(layers)} layers with weights",
        )
    network.freeze_before(layers[-classifier.trained])
    return network


def parameter_counts(network: nn.Module) -> dict[str, int]:
    """Count all parameters and the trained ones; running statistics do not count."""
    each = list(network.parameters())
    return {"total": sum(p.numel() for p in each), "trained": sum(p.numel() for p in each if p.requires_grad)}


def save(network: nn.Module, path: Path) -> None:
    """Write all weights and statistics of a network as safetensors."""
    from safetensors.torch import save_file

    state = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    save_file(state, path)


def load(classifier: ClassifierConfig, n_classes: int, path: Path, *, multilabel: bool = False) -> Classifier:
    """Load the network that ``save`` wrote; the initial weights are not read again.

    Raises:
        ClassifierError: the file is missing, not safetensors, or of another network.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    bare = classifier.model_copy(update={"weights": Weights(), "trained": "all"})
    network = build(bare, n_classes, multilabel=multilabel)
    try:
        network.load_state_dict(load_file(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise ClassifierError(
            f"{classifier.where}: {path}",
            f"does not hold this network: {str(error).splitlines()[0]}",
            "Train it again.",
        ) from None
    return _frozen(network, classifier)
