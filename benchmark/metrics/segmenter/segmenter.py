"""A segmenter of findings, trained on real images and their masks, which finds lesions in other images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.images.image_set import ImageSet

STEPS, BATCH, RATE = 500, 32, 2e-3  # own choice
LARGEST = 128  # side in pixels at which it reads larger images
CHANNELS = (16, 16, 32, 32, 64, 16)
FACTOR = 16  # four halvings; the first level has every pixel, since nodules are few pixels wide
TURN, SHIFT, GAIN = 6.0, 0.06, 0.1  # augmentation: degrees, share of the side, share of the contrast
FILE = "segmenter.safetensors"


@dataclass(frozen=True, eq=False)
class Segmenter:
    """A U-Net with an output for every class; ``device`` is a torch device."""

    network: nn.Module
    device: str

    @torch.no_grad()
    def find(self, images: Any, label: np.ndarray) -> np.ndarray:
        """Return (N, H, W) uint8, 255 inside the finding of each image's class.

        Args:
            images: (N, H, W) uint8; label: (N,) index of the class whose finding is looked for.
        """
        result = np.zeros(images.shape, np.uint8)
        self.network.eval()
        for start in range(0, len(label), 256):
            rows = slice(start, start + 256)
            own = torch.from_numpy(label[rows]).to(self.device)
            score = self.network(_input(np.asarray(images[rows]), self.device))
            score = score[torch.arange(len(own)), own][:, None]
            at_size = F.interpolate(score, images.shape[1:], mode="bilinear")
            result[rows] = (at_size[:, 0] > 0).cpu().numpy() * np.uint8(255)
        return result

    def save(self, folder: Path) -> None:
        """Write the weights."""
        from safetensors.torch import save_file

        save_file({k: v.contiguous() for k, v in self.network.state_dict().items()}, folder / FILE)


def load(folder: Path, classes: int, device: str) -> Segmenter:
    """Read what ``save`` wrote."""
    from safetensors.torch import load_file

    network = _network(classes)
    network.load_state_dict(load_file(folder / FILE))
    return Segmenter(network.to(device), device)


def train(
    images: ImageSet,
    seed: int,
    device: str,
    steps: int = STEPS,
    report: Callable[[int, float], None] | None = None,
) -> Segmenter:
    """Train a segmenter.

    Args:
        images: real ones with masks, one class each. Classes are drawn equally often; an image counts in the
            output of its class with its mask, and in all others with an empty one.
        report: is called with every step and its loss.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _network(len(images.classes)).to(device).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    rng = np.random.default_rng(seed)
    share = 1 / np.bincount(images.label)[images.label]
    pixels, masks = np.ascontiguousarray(images.image), np.ascontiguousarray(images.mask)
    for step in range(steps):
        rows = rng.choice(len(images), BATCH, p=share / share.sum())
        x, mask = _augmented(_input(pixels[rows], device), _input(masks[rows], device), rng)
        label = torch.from_numpy(images.label[rows]).to(device)
        target = F.one_hot(label, len(images.classes))[:, :, None, None] * (mask > 0.5).float()
        score = network(x)
        loss = F.binary_cross_entropy_with_logits(score, target) + _missed_overlap(score.sigmoid(), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if report is not None:
            report(step + 1, float(loss.detach()))
    return Segmenter(network, device)


def _missed_overlap(share: Tensor, target: Tensor) -> Tensor:
    """Return 1 - soft Dice over the batch, mean over the classes with a finding in it."""
    shared, sizes = (share * target).sum((0, 2, 3)), (share + target).sum((0, 2, 3))
    present = target.sum((0, 2, 3)) > 0
    missed: Tensor = (1 - 2 * shared / sizes.clamp(min=1e-6))[present].sum() / present.sum().clamp(min=1)
    return missed


def _network(classes: int) -> nn.Module:
    from monai.networks.nets import BasicUNet

    return BasicUNet(2, 1, classes, CHANNELS, norm=("group", {"num_groups": 4}))


def _input(images: np.ndarray, device: str) -> Tensor:
    """Return (N, 1, s, s) in [0, 1], s a multiple of ``FACTOR``, at most ``LARGEST``."""
    side = min(LARGEST, -(-images.shape[1] // FACTOR) * FACTOR)
    x = torch.from_numpy(np.array(images)).to(device).float()[:, None] / 255
    return x if x.shape[-1] == side else F.interpolate(x, (side, side), mode="bilinear", antialias=True)


def _augmented(x: Tensor, mask: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Turn and shift images with their masks, and change their gain; never mirrored: sides matter."""
    n = len(x)
    turn = np.deg2rad(rng.uniform(-TURN, TURN, n))
    place = np.zeros((n, 2, 3), np.float32)
    place[:, 0, 0] = place[:, 1, 1] = np.cos(turn)
    place[:, 0, 1], place[:, 1, 0] = -np.sin(turn), np.sin(turn)
    place[:, :, 2] = rng.uniform(-2 * SHIFT, 2 * SHIFT, (n, 2))
    gain = torch.from_numpy(1 + rng.uniform(-GAIN, GAIN, (n, 1, 1, 1)).astype(np.float32)).to(x.device)
    grid = F.affine_grid(torch.from_numpy(place).to(x.device), [n, 1, *x.shape[2:]], align_corners=False)
    moved = F.grid_sample(torch.cat([x, mask], 1), grid, padding_mode="border", align_corners=False)
    return moved[:, :1] * gain, moved[:, 1:]
