"""Initial weights: locate them, identify them by content, and load them into a network, all or none."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.errors import ClassifierError, unknown_name
from benchmark.tasks.classifier import ClassifierConfig
from benchmark.utils.hashing import sha256_file

if TYPE_CHECKING:
    from torch import Tensor

    from benchmark.classifiers.heads import Classifier

FILE = "model.safetensors"  # of a model on the hub; its older pickles are not read
PROBE_SECONDS = 5.0
LONGEST_REASON = 240  # characters of torch's message
REMEDY = (
    "Download them once with network access, or put {name}.safetensors into a folder and give it with "
    "--weights FOLDER; --weights none is another protocol."
)


def locate_weights(classifier: ClassifierConfig) -> ClassifierConfig:
    """Return the configuration with the path, the tag and the SHA-256 of its weights filled in.

    ImageNet weights come from the hub's cache, or from the hub.

    Raises:
        ClassifierError: the weights are not available, or are not those of the required SHA-256.
    """
    weights = classifier.weights
    if weights.kind == "none":
        return classifier
    tag, path = _imagenet(classifier) if weights.kind == "imagenet" else (None, _file(classifier))
    located = {"path": path, "tag": tag, "sha256": _verified_hash(classifier, path)}
    return classifier.model_copy(update={"weights": weights.model_copy(update=located)})


def _file(classifier: ClassifierConfig) -> Path:
    """Return the absolute path of a file of weights, which exists and is not a pickle."""
    path, where = classifier.weights.path, classifier.where
    if path is None or not path.is_file():
        raise ClassifierError(
            where, f"weights file '{path}' is missing", "Give the path of a safetensors file."
        )
    if path.suffix != ".safetensors":
        raise ClassifierError(where, f"weights file '{path}' is not a .safetensors file", "Convert it first.")
    return path.absolute()  # the hub's cache links to files without a suffix


def _verified_hash(classifier: ClassifierConfig, path: Path) -> str:
    """Return the SHA-256 of a file of weights; it must be the configured one, if there is one."""
    actual, expected = sha256_file(path), classifier.weights.sha256
    if expected is not None and actual != expected:
        raise ClassifierError(
            f"{classifier.where}: {path}",
            f"has SHA-256 {actual}, expected {expected}",
            "Give the intended file, or the hash of this one: another protocol.",
        )
    return actual


def _imagenet(classifier: ClassifierConfig) -> tuple[str, Path]:
    """Return tag and file of timm's pretrained weights.

    Raises:
        ClassifierError: no such architecture or tag, or the file is neither in the cache nor on the hub.
    """
    import timm
    from huggingface_hub import try_to_load_from_cache

    where, requested = classifier.where, classifier.weights.tag
    if not timm.is_model(classifier.timm):
        raise unknown_name("timm architecture", classifier.timm, timm.list_models(), where)
    tags = [n.partition(".")[2] for n in timm.list_pretrained(f"{classifier.timm}.*")]
    if requested is not None and requested not in tags:
        raise unknown_name("tag", requested, tags, f"{where}: weights of '{classifier.timm}'")
    config = timm.get_pretrained_cfg(f"{classifier.timm}.{requested}" if requested else classifier.timm)
    if config is None or not config.hf_hub_id or config.tag not in tags:
        raise ClassifierError(
            where, f"timm has no pretrained weights of '{classifier.timm}'", "Use another kind."
        )
    cached = try_to_load_from_cache(config.hf_hub_id, FILE)
    path = Path(cached) if isinstance(cached, str) else _download(classifier, config.hf_hub_id)
    return str(config.tag), path


def _download(classifier: ClassifierConfig, hub_id: str) -> Path:
    """Download a file from the hub, after one probe: the hub's client retries for half a minute."""
    from huggingface_hub import constants, get_session, hf_hub_download

    try:
        if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
            raise ConnectionError("HF_HUB_OFFLINE is set")
        get_session().head(constants.ENDPOINT, timeout=PROBE_SECONDS)
        return Path(hf_hub_download(hub_id, FILE))
    except Exception as error:  # the hub's client raises many kinds
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ClassifierError(
            classifier.where,
            f"ImageNet weights '{hub_id}' are not in the hub's cache, and cannot be downloaded: {reason}",
            REMEDY.format(name=classifier.timm),
        ) from error


def load_initial_weights(network: Classifier, classifier: ClassifierConfig) -> None:
    """Load the configured weights into all of a network but its own head.

    Raises:
        ClassifierError: the file is missing or altered, or a tensor is missing, unknown or of another shape.
    """
    if classifier.weights.path is None:
        classifier = locate_weights(classifier)
    path = _file(classifier)
    _verified_hash(classifier, path)
    _load(network, _tensors(classifier, path), classifier, path)


def check_fit(network: Classifier, classifier: ClassifierConfig) -> None:
    """Check the names and shapes in the configured file against a network on the meta device.

    Raises:
        ClassifierError: the file is not safetensors, or a tensor is missing, unknown or of another shape.
    """
    path = _file(classifier)
    _load(network, _tensors(classifier, path, shapes_only=True), classifier, path)


def _tensors(classifier: ClassifierConfig, path: Path, *, shapes_only: bool = False) -> dict[str, Tensor]:
    """Read the tensors of a file, or only their shapes, as tensors on the meta device."""
    import torch
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import load_file

    try:
        if not shapes_only:
            return load_file(path)
        with safe_open(path, "pt") as file:
            return {n: torch.empty(file.get_slice(n).get_shape(), device="meta") for n in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ClassifierError(f"{classifier.where}: {path}", f"is not safetensors: {error}") from None


def _load(network: Classifier, state: Mapping[str, Tensor], classifier: ClassifierConfig, path: Path) -> None:
    """Load all tensors but those of the replaced head; counters of batches may be missing.

    Weights for three channels are summed over them: a gray image gives the result of three equal channels.
    """
    state = {k: v for k, v in state.items() if not k.startswith(network.replaced)}
    first, target = f"{network.first_conv}.weight", network.pretrained
    if first in state and state[first].ndim == 4 and state[first].shape[1] == 3:
        state[first] = state[first].sum(1, keepdim=True)
    counters = {k: v for k, v in target.state_dict().items() if k.endswith("num_batches_tracked")}
    try:
        target.load_state_dict({**counters, **state})
    except RuntimeError as error:
        reason = str(error).split("\n\t", 1)[-1].split("\n")[0]
        raise ClassifierError(
            f"{classifier.where}: {path}",
            f"does not fit '{classifier.timm}': {reason[:LONGEST_REASON]}",
            "Give the safetensors of timm's own network of this name and arguments.",
        ) from None
