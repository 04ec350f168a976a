"""A segmenter of findings, trained on real images and their masks, which finds lesions in other images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.images.image_set import ImageSet
from benchmark.metrics._lesions import INSIDE, overlap

STEPS, BATCH, RATE = 800, 16, 3e-3  # own choice
LARGEST = 128  # side in pixels at which it reads larger images
CHANNELS = (16, 16, 32, 32, 64, 16)
FACTOR = 16  # four halvings; the first level has every pixel, since nodules are few pixels wide
TURN, SHIFT, ZOOM, GAIN = 6.0, 0.06, 0.1, 0.1  # augmentation: degrees, and shares of side, size and contrast
LEAST = 1e-4  # share of an image that counts as the area of a finding
THRESHOLDS = np.linspace(0.05, 0.95, 19)
FILE = "segmenter.safetensors"


@dataclass(frozen=True, eq=False)
class Segmenter:
    """A U-Net with an output for every class.

    Attributes:
        device: of torch.
        thresholds: (K,) share from which a pixel is inside the finding of a class.
    """

    network: nn.Module
    device: str
    thresholds: np.ndarray

    def calibrated(self, images: ImageSet) -> Segmenter:
        """Return the segmenter with the threshold of each class that gives the best mean Dice.

        Args:
            images: held-out real ones with masks, one class each; a class without any keeps its threshold.
        """
        shares, masks = self.shares(images.image, images.label), np.asarray(images.mask[:])
        best = self.thresholds.copy()
        for k in np.unique(images.label[(masks > INSIDE).any((1, 2))]):
            rows = np.flatnonzero((images.label == k) & (masks > INSIDE).any((1, 2)))
            dice = [overlap((shares[rows] > t) * np.uint8(255), masks[rows])[0].mean() for t in THRESHOLDS]
            best[k] = THRESHOLDS[int(np.argmax(dice))]
        return replace(self, thresholds=best)

    def find(self, images: Any, label: np.ndarray) -> np.ndarray:
        """Return (N, H, W) uint8, 255 inside the finding of each image's class.

        Args:
            images: (N, H, W) uint8; label: (N,) index of the class whose finding is looked for.
        """
        inside = self.shares(images, label) > self.thresholds[label][:, None, None]
        return inside * np.uint8(255)

    @torch.no_grad()
    def shares(self, images: Any, label: np.ndarray) -> np.ndarray:
        """Return (N, H, W) float32, the share of the finding of each image's class in a pixel, 0 to 1."""
        result = np.zeros(images.shape, np.float32)
        self.network.eval()
        for start in range(0, len(label), 256):
            rows = slice(start, start + 256)
            own = torch.from_numpy(label[rows]).to(self.device)
            score = self.network(_standardized(_input(np.asarray(images[rows]), self.device)))
            score = score[torch.arange(len(own)), own][:, None]
            at_size = F.interpolate(score, images.shape[1:], mode="bilinear")
            result[rows] = at_size[:, 0].sigmoid().cpu().numpy()
        return result

    def save(self, folder: Path) -> None:
        """Write weights and thresholds."""
        from safetensors.torch import save_file

        weights = {k: v.contiguous() for k, v in self.network.state_dict().items()}
        save_file({**weights, "thresholds": torch.from_numpy(self.thresholds)}, folder / FILE)


def load(folder: Path, classes: int, device: str) -> Segmenter:
    """Read what ``save`` wrote."""
    from safetensors.torch import load_file

    network = _network(classes)
    state = load_file(folder / FILE)
    thresholds = state.pop("thresholds").numpy()
    network.load_state_dict(state)
    return Segmenter(network.to(device), device, thresholds)


def train(
    images: ImageSet,
    seed: int,
    device: str,
    steps: int = STEPS,
    report: Callable[[int, float], None] | None = None,
) -> Segmenter:
    """Train a segmenter; its thresholds are one half.

    Args:
        images: real ones with masks, one class each. Classes are drawn equally often; an image counts in the
            output of its class with its mask, and in all others with an empty one.
        report: is called with every step and its loss.
    """
    pixels, masks = np.ascontiguousarray(images.image), np.ascontiguousarray(images.mask)
    area = torch.from_numpy(_areas(masks, images)).to(device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _network(len(images.classes))
    nn.init.zeros_(network.final_conv.weight)
    with torch.no_grad():  # begin with the frequency of every finding: its loss falls from the first step on
        network.final_conv.bias.copy_(area.cpu().logit())
    network = network.to(device).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    rng = np.random.default_rng(seed)
    share = 1 / np.bincount(images.label)[images.label]
    for step in range(steps):
        rows = rng.choice(len(images), BATCH, p=share / share.sum())
        x, mask = _augmented(_input(pixels[rows], device), _input(masks[rows], device), rng)
        label = torch.from_numpy(images.label[rows]).to(device)
        loss = _loss(network(_standardized(x)), (mask > 0.5).float(), label, area)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if report is not None:
            report(step + 1, float(loss.detach()))
    return Segmenter(network, device, np.full(len(images.classes), 0.5))


def mean_mask(images: ImageSet) -> np.ndarray:
    """Return (K, H, W) uint8, for every class the pixels that most masks share: a guess without an image.

    The share from which a pixel is inside has the best mean Dice with the masks themselves.
    """
    masks = np.asarray(images.mask[:])
    guess = np.zeros((len(images.classes), *masks.shape[1:]), np.uint8)
    for k in np.unique(images.label):
        own = masks[(images.label == k) & (masks > INSIDE).any((1, 2))]
        if len(own):
            share = (own > INSIDE).mean(0)
            levels = np.unique(np.quantile(share[share > 0], np.linspace(0, 1, 40)))
            guesses = [(share >= level) * np.uint8(255) for level in levels]
            dice = [overlap(np.broadcast_to(one, own.shape), own)[0].mean() for one in guesses]
            guess[k] = guesses[int(np.argmax(dice))]
    return guess


def _areas(masks: np.ndarray, images: ImageSet) -> np.ndarray:
    """Return (K,) float32, the share of an image that the finding of a class covers on average."""
    share = (masks > INSIDE).mean((1, 2))
    each = [share[images.label == k] for k in range(len(images.classes))]
    return np.array([max(LEAST, own.mean()) if len(own) else LEAST for own in each], np.float32)


def _loss(score: Tensor, mask: Tensor, label: Tensor, area: Tensor) -> Tensor:
    """Return the cross-entropy of all outputs, and 1 - soft Dice of the own output of images with a finding.

    The cross-entropy of an output is divided by the area of its finding: nodules cover a few pixels, the
    heart a hundred, and without the division nothing is gained by finding nodules. Dice counts every image
    alike.

    Args:
        score: (N, K, S, S); mask: (N, 1, S, S) in 0 and 1; label: (N,); area: (K,).
    """
    target = F.one_hot(label, score.shape[1])[:, :, None, None] * mask
    entropy = F.binary_cross_entropy_with_logits(score, target, reduction="none").mean((0, 2, 3))
    findings = area > LEAST
    total = (entropy / area)[findings].sum() / findings.sum().clamp(min=1)
    present = mask.sum((1, 2, 3)) > 0
    if not present.any():
        return total
    own = score[torch.arange(len(label), device=label.device), label][:, None].sigmoid()[present]
    shared, sizes = (own * mask[present]).sum((1, 2, 3)), (own + mask[present]).sum((1, 2, 3))
    return total + (1 - (2 * shared + 1) / (sizes + 1)).mean()


def _network(classes: int) -> Any:
    from monai.networks.nets import BasicUNet

    return BasicUNet(2, 1, classes, CHANNELS, norm=("group", {"num_groups": 4}))


def _input(images: np.ndarray, device: str) -> Tensor:
    """Return (N, 1, s, s) in [0, 1], s a multiple of ``FACTOR``, at most ``LARGEST``."""
    side = min(LARGEST, -(-images.shape[1] // FACTOR) * FACTOR)
    x = torch.from_numpy(np.array(images)).to(device).float()[:, None] / 255
    return x if x.shape[-1] == side else F.interpolate(x, (side, side), mode="bilinear", antialias=True)


def _standardized(x: Tensor) -> Tensor:
    """Return images with mean 0 and standard deviation 1: exposures differ between sites."""
    return (x - x.mean((2, 3), keepdim=True)) / x.std((2, 3), keepdim=True).clamp(min=0.02)


def _augmented(x: Tensor, mask: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Turn, shift, zoom and mirror images with their masks, and change their gain."""
    n = len(x)
    turn, zoom = np.deg2rad(rng.uniform(-TURN, TURN, n)), np.exp(rng.uniform(-ZOOM, ZOOM, n))
    across = np.where(rng.random(n) < 0.5, -zoom, zoom)
    place = np.zeros((n, 2, 3), np.float32)
    place[:, 0, 0], place[:, 1, 1] = across * np.cos(turn), zoom * np.cos(turn)
    place[:, 0, 1], place[:, 1, 0] = -zoom * np.sin(turn), across * np.sin(turn)
    place[:, :, 2] = rng.uniform(-2 * SHIFT, 2 * SHIFT, (n, 2))
    gain = torch.from_numpy(1 + rng.uniform(-GAIN, GAIN, (n, 1, 1, 1)).astype(np.float32)).to(x.device)
    grid = F.affine_grid(torch.from_numpy(place).to(x.device), [n, 1, *x.shape[2:]], align_corners=False)
    moved = F.grid_sample(torch.cat([x, mask], 1), grid, padding_mode="border", align_corners=False)
    return moved[:, :1] * gain, moved[:, 1:]
