"""Rotation, shift, scale, shear, crop and flip: pure functions of a batch and its parameters."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import grid_sample
from torchvision.transforms.v2.functional import horizontal_flip, vertical_flip

Border = Literal["black", "edge", "mirror"]
Interpolation = Literal["bilinear", "nearest"]
# "mirror" does not repeat the edge itself (reflect_101): grid_sample does so where corners are aligned.
_PADDING = {"black": "zeros", "edge": "border", "mirror": "reflection"}


def warp(
    batch: Tensor, linear: Tensor, offset: Tensor, border: Border, interpolation: Interpolation = "bilinear"
) -> Tensor:
    """Resample every pixel from ``linear @ place + offset``, places in pixels from the image's center.

    Args:
        batch: (N, 1, H, W) float.
        linear: (N, 2, 2); rows and columns are across, down.
        offset: (N, 2) pixels across, down.
        border: what lies outside: black, the edge's gray, or the mirror image without the edge itself.
    Returns:
        (N, 1, H, W).
    """
    height, width = batch.shape[-2:]
    unit = 2 / (_sides(batch) - 1).clamp(min=1)  # grid_sample counts pixels from -1 to 1
    linear = (linear * unit[:, None]).to(batch.device, batch.dtype)
    offset = (offset * unit).to(batch.device, batch.dtype)
    x, y = (
        torch.arange(side, device=batch.device, dtype=batch.dtype) - (side - 1) / 2
        for side in (width, height)
    )
    # a sum of two lines of places: torch's affine_grid takes up to twice as long on a CPU
    along_x = linear[:, None, :, 0] * x[:, None]
    along_y = linear[:, None, :, 1] * y[:, None] + offset[:, None, :]
    grid = along_x[:, None] + along_y[:, :, None]
    return grid_sample(batch, grid, mode=interpolation, padding_mode=_PADDING[border], align_corners=True)


def turn(angle: Tensor) -> Tensor:
    """Return (N, 2, 2) rotations by degrees; a positive angle turns the result counter-clockwise."""
    cos, sin = torch.cos(torch.deg2rad(angle)), torch.sin(torch.deg2rad(angle))
    return torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)


def _sides(batch: Tensor) -> Tensor:
    """Return (2,) width and height in pixels."""
    return torch.tensor([batch.shape[-1], batch.shape[-2]])


def rotate(batch: Tensor, angle: Tensor, border: Border, interpolation: Interpolation = "bilinear") -> Tensor:
    """Rotate about the center, counter-clockwise, by (N,) degrees."""
    return warp(batch, turn(angle), angle.new_zeros(len(angle), 2), border, interpolation)


def shift_scale_rotate(batch: Tensor, angle: Tensor, scale: Tensor, shift: Tensor, border: Border) -> Tensor:
    """Rotate by (N,) degrees and enlarge (N,) times about the center, then shift by (N, 2) of the sides.

    The operation of that name in Albumentations, and without scale that of Keras' ImageDataGenerator, whose
    angles go the other way. Shifts go right and down.
    """
    linear = turn(angle) / scale[:, None, None]
    offset = -(linear @ (shift * _sides(batch))[:, :, None])[:, :, 0]
    return warp(batch, linear, offset, border)


def translate(batch: Tensor, shift: Tensor, border: Border) -> Tensor:
    """Shift right and down by (N, 2) of the sides."""
    return warp(batch, torch.eye(2).expand(len(shift), 2, 2), -shift * _sides(batch), border)


def shear(batch: Tensor, angle: Tensor, border: Border) -> Tensor:
    """Slide rows along themselves about the middle row, by (N,) degrees from the vertical."""
    linear = torch.eye(2).repeat(len(angle), 1, 1)
    linear[:, 0, 1] = torch.tan(torch.deg2rad(angle))
    return warp(batch, linear, angle.new_zeros(len(angle), 2), border)


def crop(batch: Tensor, share: tuple[float, float], start: Tensor) -> Tensor:
    """Enlarge a window to the image's size; corner pixels of the window become corner pixels of the result.

    Args:
        share: of width and height that the window covers, above 0 and up to 1.
        start: (N, 2) in [0, 1], the window's place: 0 left or top, 1 right or bottom.
    """
    covered = torch.tensor(share)
    room = (1 - covered) * (_sides(batch) - 1)
    return warp(batch, torch.diag(covered).expand(len(start), 2, 2), (start - 0.5) * room, "edge")


def flip_across(batch: Tensor, rows: Tensor | None = None) -> Tensor:
    """Exchange left and right."""
    return horizontal_flip(batch)


def flip_down(batch: Tensor, rows: Tensor | None = None) -> Tensor:
    """Exchange top and bottom."""
    return vertical_flip(batch)
