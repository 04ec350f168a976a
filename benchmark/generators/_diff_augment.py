"""Differentiable augmentation of images before a critic (DiffAugment; Zhao et al. 2020, arXiv:2006.10738)."""

import torch
from torch import Tensor
from torch.nn import functional as F


def diff_augment(x: Tensor, policy: tuple[str, ...], random: torch.Generator) -> Tensor:
    """Apply color, translation and cutout, as far as the policy names them, to gray (N, 1, S, S) images."""

    def uniform(low: float, high: float) -> Tensor:
        drawn = torch.rand(len(x), 1, 1, 1, generator=random, device=x.device)
        return low + (high - low) * drawn

    if "color" in policy:
        # brightness within half a unit, contrast within half
        mean = x.mean((1, 2, 3), keepdim=True)
        x = (x - mean) * uniform(0.5, 1.5) + mean + uniform(-0.5, 0.5)
    side = x.shape[2]
    place = torch.arange(side, device=x.device)
    if "translation" in policy:
        # by up to an eighth of the side; what comes in is zero
        reach = int(side / 8 + 0.5)
        by = torch.randint(-reach, reach + 1, (2, len(x), 1), generator=random, device=x.device)
        row, column = (place + by + reach).unbind()
        padded = F.pad(x, (reach,) * 4)
        index = row[:, :, None] * (side + 2 * reach) + column[:, None, :]
        x = padded.flatten(2).gather(2, index.flatten(1)[:, None]).view_as(x)
    if "cutout" in policy:
        # a zero square of half the side about any pixel
        center = torch.randint(0, side + 1, (2, len(x), 1), generator=random, device=x.device)
        row, column = ((place + 0.5 - center).abs() < side / 4).unbind()
        x = x * ~(row[:, None, :, None] & column[:, None, None, :])
    return x
