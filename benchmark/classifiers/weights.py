"""Initial weights: find them, name them by their content, and put them into a network, all or none."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.errors import ClassifierError, unknown_name
from benchmark.tasks.classifier import ClassifierConfig
from benchmark.utils.hashing import sha256_file

if TYPE_CHECKING:
    from benchmark.classifiers.heads import Classifier

FILE = "model.safetensors"  # of a model on the hub; its older pickles are not read
PROBE_SECONDS = 5.0
REMEDY = (
    "Download them once where there is a network, or put {name}.safetensors into a folder and give it with "
    "--weights FOLDER; --weights none is another protocol."
)


def located(classifier: ClassifierConfig) -> ClassifierConfig:
    """The recipe with the path, the tag and the SHA-256 of its weights filled in.

    ImageNet weights come from the hub's cache, and from the hub itself where they are not there.

    Raises:
        ClassifierError: the weights cannot be had, or are not those that the recipe insists on.
    """
    weights = classifier.weights
    if weights.kind == "none":
        return classifier
    if weights.kind == "imagenet":
        tag, path = _imagenet(classifier)
    else:
        tag, path = None, _file(classifier)
    told = {"path": path, "tag": tag, "sha256": _checked(classifier, path)}
    return classifier.model_copy(update={"weights": weights.model_copy(update=told)})


def _file(classifier: ClassifierConfig) -> Path:
    """The absolute path of a file of weights, which is there and is no pickle."""
    path = classifier.weights.path
    if path is None or not path.is_file():
        raise ClassifierError(
            classifier.where,
            f"weights file '{path}' is missing",
            "Give the path of a safetensors file.",
        )
    if path.suffix != ".safetensors":
        raise ClassifierError(
            classifier.where, f"weights file '{path}' is no .safetensors", "Convert it first."
        )
    return path.absolute()  # the hub's cache links to files without a suffix


def _checked(classifier: ClassifierConfig, path: Path) -> str:
    """The SHA-256 of a file of weights, which is the recipe's where it has one."""
    found, wanted = sha256_file(path), classifier.weights.sha256
    if wanted is not None and found != wanted:
        raise ClassifierError(
            f"{classifier.where}: {path}",
            f"has SHA-256 {found}, expected {wanted}",
            "Give the file that was meant, or the hash of this one: another protocol.",
        )
    return found


def _imagenet(classifier: ClassifierConfig) -> tuple[str, Path]:
    """Tag and file of timm's pretrained weights.

    Raises:
        ClassifierError: no such architecture or tag, or the file can be had neither from cache nor hub.
    """
    import timm
    from huggingface_hub import try_to_load_from_cache

    where, wanted = classifier.where, classifier.weights.tag
    if not timm.is_model(classifier.timm):
        raise unknown_name("timm architecture", classifier.timm, timm.list_models(), where)
    tags = [n.partition(".")[2] for n in timm.list_pretrained(f"{classifier.timm}.*")]
    if wanted is not None and wanted not in tags:
        raise unknown_name("tag", wanted, tags, f"{where}: weights of '{classifier.timm}'")
    config = timm.get_pretrained_cfg(f"{classifier.timm}.{wanted}" if wanted else classifier.timm)
    if config is None or not config.hf_hub_id or config.tag not in tags:
        raise ClassifierError(
            where, f"timm has no pretrained weights of '{classifier.timm}'", "Use another kind."
        )
    cached = try_to_load_from_cache(config.hf_hub_id, FILE)
    return str(config.tag), Path(cached) if isinstance(cached, str) else _download(
        classifier, config.hf_hub_id
    )


def _download(classifier: ClassifierConfig, hub_id: str) -> Path:
    """A file from the hub; asked once first, since its client asks again and again for half a minute."""
    from huggingface_hub import constants, get_session, hf_hub_download

    told = f"ImageNet weights '{hub_id}' are not in the hub's cache"
    try:
        if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
            raise ConnectionError("HF_HUB_OFFLINE is set")
        get_session().head(constants.ENDPOINT, timeout=PROBE_SECONDS)
        return Path(hf_hub_download(hub_id, FILE))
    except Exception as error:  # the hub's client raises many kinds
        raise ClassifierError(
            classifier.where,
            f"{told}, and cannot be downloaded: {(str(error).splitlines() or [type(error).__name__])[0]}",
            REMEDY.format(name=classifier.timm),
        ) from error


def read_body(network: Classifier, classifier: ClassifierConfig) -> None:
    """Put the recipe's weights into all of a network but its own head.

    Weights for three channels are summed over them: a gray image gives what its three equal channels gave.

    Raises:
        ClassifierError: the file is missing or altered, or a tensor is missing, unknown or of another shape.
    """
    from safetensors.torch import load_file

    if classifier.weights.path is None:
        classifier = located(classifier)
    found = _file(classifier)
    _checked(classifier, found)
    check_fit(network, classifier)
    state = {k: v for k, v in load_file(found).items() if not k.startswith(network.replaced)}
    first = f"{network.first_conv}.weight"
    if state[first].shape[1] == 3:
        state[first] = state[first].sum(1, keepdim=True)
    network.pretrained.load_state_dict(network.pretrained.state_dict() | state)


def check_fit(network: Classifier, classifier: ClassifierConfig) -> None:
    """Hold the names and shapes in a recipe's file against the network's; no weight is read.

    Raises:
        ClassifierError: the file is no safetensors, or a tensor is missing, unknown or of another shape.
    """
    found = _file(classifier)
    state = {k: v for k, v in _shapes(classifier, found).items() if not k.startswith(network.replaced)}
    own = {k: tuple(v.shape) for k, v in network.pretrained.state_dict().items()}
    first = f"{network.first_conv}.weight"
    if len(state.get(first, ())) == 4 and state[first][1] == 3:
        state[first] = (state[first][0], 1, *state[first][2:])
    odd = _misfits(state, own)
    if odd:
        raise ClassifierError(
            f"{classifier.where}: {found}",
            f"does not fit '{classifier.timm}': {odd[0]}" + (f", and {len(odd) - 1} more" if odd[1:] else ""),
            "Give the safetensors of timm's own network of this name and arguments.",
        )


def _shapes(classifier: ClassifierConfig, path: Path) -> dict[str, tuple[int, ...]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ClassifierError(f"{classifier.where}: {path}", f"is no safetensors: {error}") from None


def _misfits(state: Mapping[str, tuple[int, ...]], own: Mapping[str, tuple[int, ...]]) -> list[str]:
    """What keeps a file of weights from being the network's; counters of batches may be missing."""
    missing = [n for n in own if n not in state and not n.endswith("num_batches_tracked")]
    return [
        *(f"{name} is missing" for name in missing),
        *(f"{name} is unknown" for name in state if name not in own),
        *(
            f"{name} has shape {shape}, expected {own[name]}"
            for name, shape in state.items()
            if name in own and shape != own[name]
        ),
    ]
