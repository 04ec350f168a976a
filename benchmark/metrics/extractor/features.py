"""Feature extractors by name, and validation of features. No weights are ever downloaded."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.errors import MetricError, unknown_name
from benchmark.utils.hashing import sha256_file

if TYPE_CHECKING:
    from torch import Tensor, nn

    from benchmark.metrics.extractor.network import Extractor

PHANTOM = "phantom_cxr_v1"
INCEPTION = "inception"
INCEPTION_FILE = "weights-inception-2015-12-05-6726825d.pth"
INCEPTION_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
SMALLEST_MAPPED = 23  # pixels of a side, at which Inception has 2 x 2 positions before its second pooling


def inception_path() -> Path:
    """Return the path of Inception's weights, the same as for torch and torch-fidelity."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "torch"
    home = Path(os.environ.get("TORCH_HOME", cache)).expanduser()
    return home / "hub" / "checkpoints" / INCEPTION_FILE


def resolve(name: str) -> str:
    """Resolve ``auto``: ``inception`` if its weights are on this machine, else ``phantom_cxr_v1``.

    The resolved name is part of the name of every metric of its features, such as ``fid_phantom_cxr_v1``.

    Raises:
        UnknownNameError: no extractor has this name.
        MetricError: the weights of ``inception`` are missing.
    """
    if name == "auto":
        return INCEPTION if inception_path().is_file() else PHANTOM
    if name not in EXTRACTORS:
        raise unknown_name("extractor", name, [*EXTRACTORS, "auto"])
    if name == INCEPTION and not inception_path().is_file():
        raise MetricError(
            f"extractor '{INCEPTION}'",
            f"no weights at {inception_path()}",
            f"Put {INCEPTION_FILE} (torch-fidelity, release v0.2.0) there, or use '{PHANTOM}'.",
        )
    return name


def features(images: np.ndarray, extractor: str, device: str = "cpu", batch: int = 64) -> np.ndarray:
    """Compute the features of one extractor, in evaluation mode and float32.

    Args:
        images: (N, H, W) uint8, any size; the extractor resizes them itself.
        extractor: ``phantom_cxr_v1``, ``inception`` or ``auto``.
        device: torch device.
        batch: images per pass.
    Returns:
        (N, D) float32; D is 128 for ``phantom_cxr_v1``, 2048 for ``inception``.
    Raises:
        MetricError: images of another type or shape, or weights that are missing or altered.
        UnknownNameError: no extractor has this name.
    """
    import torch

    if images.dtype != np.uint8 or images.ndim != 3:
        raise MetricError("features", f"got {images.dtype} of shape {images.shape}, expected uint8 (N, H, W)")
    network, width = EXTRACTORS[resolve(extractor)]
    forward = network(device)
    parts = []
    with torch.inference_mode():
        for start in range(0, len(images), batch):
            chunk = torch.from_numpy(np.array(images[start : start + batch])).to(device)  # maps are read-only
            parts.append(forward(chunk).float().cpu().numpy())
    return np.concatenate(parts) if parts else np.zeros((0, width), dtype=np.float32)


def feature_maps(images: np.ndarray, extractor: str, device: str = "cpu") -> np.ndarray:
    """Compute the features of single positions before the second pooling layer, in float32.

    For ``inception`` they are the output of ``Conv2d_4a_3x3`` for the image at its own size, as Shaham et al.
    2019 compute them; the embedded network halves its input of 64 pixels by convolutions, and the features
    are those before the second of them.

    Args:
        images: (B, H, W) uint8, few enough for one pass.
        extractor: ``phantom_cxr_v1``, ``inception`` or ``auto``.
        device: torch device.
    Returns:
        (B, P, C) float32; C is 16 for ``phantom_cxr_v1`` and 192 for ``inception``.
    Raises:
        MetricError: images too small for two positions, or weights that are missing or altered.
        UnknownNameError: no extractor has this name.
    """
    import torch

    name = resolve(extractor)
    if name == INCEPTION and min(images.shape[1:]) < SMALLEST_MAPPED:
        problem = f"got images of {images.shape[2]} x {images.shape[1]} pixels"
        raise MetricError("feature maps", problem, f"Give at least {SMALLEST_MAPPED} pixels to each side.")
    forward = MAPS[name](device)
    with torch.inference_mode():
        maps = forward(torch.from_numpy(np.array(images)).to(device)).float()
        return maps.flatten(2).transpose(1, 2).cpu().numpy()


def feature_pair(metric: str, real: np.ndarray, fake: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both sides as float64.

    Args:
        metric: name of the metric, for the message.
        real: (N, D) features, N >= 2.
        fake: (M, D) features, M >= 2.
    Raises:
        MetricError: not a matrix, D differs, fewer than two rows, NaN or infinite values.
    """
    for side, rows in (("real", real), ("fake", fake)):
        if rows.ndim != 2 or len(rows) < 2:
            raise MetricError(
                metric,
                f"{side} has shape {rows.shape}, expected (N, D) features with N >= 2",
                "Give at least two images on each side.",
            )
        if not np.isfinite(rows).all():
            raise MetricError(
                metric, f"{side} has NaN or infinite features", "Check the images and the extractor."
            )
    if real.shape[1] != fake.shape[1]:
        raise MetricError(
            metric,
            f"real has {real.shape[1]} features, fake has {fake.shape[1]}",
            "Take both from the same extractor.",
        )
    return real.astype(np.float64), fake.astype(np.float64)


@lru_cache(maxsize=2)
def _phantom(device: str) -> Extractor:
    """Load the embedded network."""
    import torch

    from benchmark.metrics.extractor.network import load_embedded

    return load_embedded(PHANTOM).to(device).to(memory_format=torch.channels_last).eval()


@lru_cache(maxsize=2)
def _inception(device: str) -> nn.Module:
    """Load torch-fidelity's Inception."""
    return _load_inception(inception_path()).to(device).eval()


def _phantom_features(device: str) -> Callable[[Tensor], Tensor]:
    """Return the features of uint8 (B, H, W)."""
    net = _phantom(device)
    return lambda images: net(_phantom_input(images))


def _phantom_maps(device: str) -> Callable[[Tensor], Tensor]:
    net = _phantom(device)
    return lambda images: net.before_second_halving(_phantom_input(images))


def _phantom_input(images: Tensor) -> Tensor:
    import torch

    from benchmark.metrics.extractor.network import to_input

    return to_input(images).contiguous(memory_format=torch.channels_last)


def _inception_features(device: str) -> Callable[[Tensor], Tensor]:
    """Return the features of uint8 (B, H, W); gray is repeated over the channels."""
    net = _inception(device)
    return lambda images: net(images.unsqueeze(1).expand(-1, 3, -1, -1))[0]


def _inception_maps(device: str) -> Callable[[Tensor], Tensor]:
    """Return the features before ``MaxPool_2`` of uint8 (B, H, W), without a change of size."""
    net: Any = _inception(device)
    layers = (net.Conv2d_1a_3x3, net.Conv2d_2a_3x3, net.Conv2d_2b_3x3, net.MaxPool_1,
              net.Conv2d_3b_1x1, net.Conv2d_4a_3x3)  # fmt: skip

    def maps(images: Tensor) -> Tensor:
        x = (images.unsqueeze(1).expand(-1, 3, -1, -1).float() - 128) / 128
        for layer in layers:
            x = layer(x)
        return x

    return maps


def _load_inception(path: Path) -> nn.Module:
    """Load the weights after verifying their hash, since torch-fidelity unpickles them."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    actual = sha256_file(path)
    if actual != INCEPTION_SHA256:
        raise MetricError(
            str(path),
            f"has SHA-256 {actual}, expected {INCEPTION_SHA256}",
            "Remove the file and download it again from torch-fidelity's release v0.2.0.",
        )
    net: nn.Module = FeatureExtractorInceptionV3(
        "inception-v3-compat", ["2048"], feature_extractor_weights_path=str(path)
    )
    return net


EXTRACTORS = {PHANTOM: (_phantom_features, 128), INCEPTION: (_inception_features, 2048)}
MAPS = {PHANTOM: _phantom_maps, INCEPTION: _inception_maps}
