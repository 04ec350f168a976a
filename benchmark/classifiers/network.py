"""Build a classifier from its recipe, keep it, and read it again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.classifiers.weights import check_fit, read_body
from benchmark.errors import ClassifierError, unknown_name
from benchmark.tasks.classifier import ClassifierConfig, Weights

if TYPE_CHECKING:
    from torch import Tensor, nn

    from benchmark.classifiers.heads import Classifier


def build(classifier: ClassifierConfig, n_classes: int, *, multilabel: bool = False) -> Classifier:
    """A network for one-channel images, with the recipe's initial weights and no others.

    Args:
        recipe: architecture, head, weights, trained layers, dropout before the last layer.
        n_classes: columns of the logits, at least 2.
        several: whether an image may have several of the classes.
    Returns:
        A module that makes (B, K) logits of (B, 1, H, W) images: of a softmax, or with ``several`` each of a
        sigmoid. Parameters that are not trained do not require a gradient.
    Raises:
        UnknownNameError: timm has no such architecture.
        ClassifierError: the weights are missing, altered or do not fit, or the head does not fit the classes.
    """
    network = _random(classifier, n_classes, multilabel=multilabel)
    if classifier.weights.kind != "none":
        read_body(network, classifier)
    if classifier.trained != "all":
        network.freeze_before(_first_trained(network, classifier, classifier.trained))
    return network


def check_weights(classifier: ClassifierConfig) -> None:
    """See that the file of a recipe's weights has every tensor of its network, without making either.

    Raises:
        UnknownNameError, ClassifierError: as ``build`` would.
    """
    import torch

    with torch.device("meta"):
        network = _random(classifier, 2, multilabel=True)
    check_fit(network, classifier)


def _random(classifier: ClassifierConfig, n_classes: int, *, multilabel: bool) -> Classifier:
    """The network with random weights, drawn from torch's global generator."""
    import timm

    if not timm.is_model(classifier.timm):
        raise unknown_name("timm architecture", classifier.timm, timm.list_models(), classifier.where)
    yes_or_no = classifier.head == "sigmoid" and not multilabel
    if yes_or_no and n_classes != 2:
        raise ClassifierError(
            f"{classifier.where}: head",
            f"'sigmoid' answers yes or no, but one of {n_classes} classes is asked for",
            "Use head linear, or labels multilabel.",
        )
    if classifier.head == "pocovid":
        return _pocovid(classifier, n_classes)
    return _standard(classifier, 1 if yes_or_no else n_classes, yes_or_no)


def _standard(classifier: ClassifierConfig, outputs: int, yes_or_no: bool) -> Classifier:
    """timm's network and its own last layer, taken apart."""
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
        body, last, classifier.dropout, yes_or_no=yes_or_no, pretrained=body,
        first_conv=str(config["first_conv"]), replaced=(f"{config['classifier']}.",),
    )  # fmt: skip


def _pocovid(classifier: ClassifierConfig, outputs: int) -> Classifier:
    """The convolutions of a VGG with the head of POCOVID-Net."""
    from torch import nn

    from benchmark.classifiers.heads import POCOVID_WIDTH, Classifier, Convolutions, pocovid_body

    vgg = _timm(classifier, outputs, mlp_ratio=1 / 4096)  # ImageNet's hidden layers would be thrown away
    convolutions = Convolutions(vgg.features)
    return Classifier(
        pocovid_body(convolutions, vgg.num_features), nn.Linear(POCOVID_WIDTH, outputs), classifier.dropout,
        yes_or_no=False, pretrained=convolutions, first_conv=str(vgg.pretrained_cfg["first_conv"]),
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


def _first_trained(network: nn.Module, classifier: ClassifierConfig, count: int) -> nn.Module:
    """The first of the last so many layers with a matrix of weights; a normalization is no layer here."""
    layers = [m for m in network.modules() if any(p.ndim > 1 for p in m.parameters(recurse=False))]
    if count > len(layers):
        raise ClassifierError(
            f"{classifier.where}: trained", f"is {count}, the network has {len(layers)} layers with weights"
        )
    return layers[-count]


def penultimate(network: Classifier, batch: Tensor) -> Tensor:
    """(B, D) features before the last linear layer and its dropout, in whatever mode the network is.

    Args:
        batch: (B, 1, H, W), normalized as in training.
    """
    features: Tensor = network.body(batch)
    return features


def last_layer(network: Classifier) -> nn.Linear:
    """The last linear layer: logits are its weight (outputs, D) times the features, plus its bias.

    With head ``sigmoid`` and one label per image it has one output, the logit of the second class.
    """
    return network.last


def parameters(network: nn.Module) -> dict[str, int]:
    """How many parameters there are in all, and how many of them are trained; statistics do not count."""
    each = list(network.parameters())
    return {"total": sum(p.numel() for p in each), "trained": sum(p.numel() for p in each if p.requires_grad)}


def save(network: nn.Module, path: Path) -> None:
    """Write all weights and statistics of a network as safetensors."""
    from safetensors.torch import save_file

    state = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    save_file(state, path)


def load(classifier: ClassifierConfig, n_classes: int, path: Path, *, multilabel: bool = False) -> Classifier:
    """The network that ``save`` wrote; the initial weights of the recipe are not read again.

    Raises:
        ClassifierError: the file is missing, no safetensors, or of another recipe.
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
    if classifier.trained != "all":
        network.freeze_before(_first_trained(network, classifier, classifier.trained))
    return network
