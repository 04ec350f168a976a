"""Where pixels move: rotation, shift, scale, shear, crop, flip. Pure functions of a batch and parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

Border = Literal["black", "edge", "mirror"]
Interpolation = Literal["bilinear", "nearest"]
# "mirror" does not repeat the edge itself (reflect_101): grid_sample does so where corners are aligned.
_PADDING = {"black": "zeros", "edge": "border", "mirror": "reflection"}


def warp(
    batch: Tensor,
    linear: Tensor,
    offset: Tensor,
    border: Border,
    interpolation: Interpolation = "bilinear",
) -> Tensor:
    """Every pixel taken from ``linear @ place + offset``, places in pixels from the image's center.

    Args:
        batch: (N, 1, H, W) float.
        linear: (N, 2, 2); rows and columns are across, down.
        offset: (N, 2) pixels across, down.
        border: what lies outside: black, the edge's gray, or the mirror image without the edge itself.
    Returns:
        (N, 1, H, W).
    """
    import torch
    from torch.nn.functional import grid_sample

    height, width = batch.shape[-2:]
    unit = 2 / (_sides(batch) - 1).clamp(min=1)  # pixels as grid_sample counts them, -1 to 1
    linear = (linear * unit[:, None]).to(batch.device, batch.dtype)
    offset = (offset * unit).to(batch.device, batch.dtype)
    x, y = (
        torch.arange(side, device=batch.device, dtype=batch.dtype) - (side - 1) / 2
        for side in (width, height)
    )
    along_x = linear[:, None, :, 0] * x[:, None]
    along_y = linear[:, None, :, 1] * y[:, None] + offset[:, None, :]
    grid = along_x[:, None] + along_y[:, :, None]
    return grid_sample(batch, grid, mode=interpolation, padding_mode=_PADDING[border], align_corners=True)


def turn(angle: Tensor) -> Tensor:
    """(N, 2, 2) from degrees: seen from the result, so that a positive angle turns counter-clockwise."""
    import torch

    cos, sin = torch.cos(torch.deg2rad(angle)), torch.sin(torch.deg2rad(angle))
    return torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)


def _sides(batch: Tensor) -> Tensor:
    """(2,) width and height in pixels."""
    import torch

    return torch.tensor([batch.shape[-1], batch.shape[-2]])


def _before(linear: Tensor, shift: Tensor) -> Tensor:
    """The offset of a warp that shifts its result by (N, 2) pixels."""
    return -(linear @ shift[:, :, None])[:, :, 0]


def rotate(batch: Tensor, angle: Tensor, border: Border, interpolation: Interpolation = "bilinear") -> Tensor:
    """Turned about the center, counter-clockwise, by (N,) degrees."""
    return warp(batch, turn(angle), angle.new_zeros(len(angle), 2), border, interpolation)


def shift_scale_rotate(batch: Tensor, angle: Tensor, scale: Tensor, shift: Tensor, border: Border) -> Tensor:
    """Turned by (N,) degrees and enlarged (N,) times about the center, then shifted by (N, 2) of the sides.

    The operation of that name in Albumentations, and without scale that of Keras' ImageDataGenerator, whose
    angles go the other way. Shifts go right and down.
    """
    linear = turn(angle) / scale[:, None, None]
    return warp(batch, linear, _before(linear, shift * _sides(batch)), border)


def translate(batch: Tensor, shift: Tensor, border: Border) -> Tensor:
    """Shifted right and down by (N, 2) of the sides."""
    import torch

    return warp(batch, torch.eye(2).expand(len(shift), 2, 2), -shift * _sides(batch), border)


def shear(batch: Tensor, angle: Tensor, border: Border) -> Tensor:
    """Rows slid along themselves about the middle row, by (N,) degrees from the vertical."""
    import torch

    linear = torch.eye(2).repeat(len(angle), 1, 1)
    linear[:, 0, 1] = torch.tan(torch.deg2rad(angle))
    return warp(batch, linear, angle.new_zeros(len(angle), 2), border)


def crop(batch: Tensor, share: tuple[float, float], start: Tensor) -> Tensor:
    """A window, enlarged to the image's size: corner pixels of the result are corner pixels of the window.

    Args:
        share: of width and height that the window keeps, above 0 and up to 1.
        start: (N, 2) in [0, 1], where the window lies: 0 left or top, 1 right or bottom.
    """
    import torch

    kept = torch.tensor(share)
    room = (1 - kept) * (_sides(batch) - 1)
    return warp(batch, torch.diag(kept).expand(len(start), 2, 2), (start - 0.5) * room, "edge")


def flip(batch: Tensor, axis: Literal["across", "down"]) -> Tensor:
    """Left and right exchanged, or top and bottom."""
    return batch.flip(3 if axis == "across" else 2)
