"""Poses of images: rotation, scale and shift, and their refinement."""

import torch
from torch import Tensor
from torch.nn import functional as F

STEPS = 8  # of the refinement
LARGEST_STEP = 0.15  # radians, logarithms of the scale, half widths
SMOOTH = 1.0  # pixels; the refinement looks at blurred images, so that it starts from further away


def similarity(rotation: Tensor, zoom: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return (N, 2, 3) maps from a frame to an image.

    Args:
        rotation: (N,) radians.
        zoom: (N,) factor by which the frame magnifies the image.
        x: (N,) shift to the right, ``y`` down, in half widths of the image.
    """
    cos, sin = torch.cos(rotation) / zoom, torch.sin(rotation) / zoom
    return torch.stack([torch.stack([cos, -sin, x], -1), torch.stack([sin, cos, y], -1)], 1)


def identity(count: int) -> Tensor:
    """Return (N, 2, 3) maps that change nothing."""
    return torch.eye(2, 3).expand(count, 2, 3)


def inverse(pose: Tensor) -> Tensor:
    """Return the inverse of (N, 2, 3) maps."""
    turned = torch.linalg.inv(pose[:, :, :2])
    return torch.cat([turned, -turned @ pose[:, :, 2:]], 2)


def compose(outer: Tensor, inner: Tensor) -> Tensor:
    """Return the (N, 2, 3) maps u -> outer(inner(u))."""
    turned = outer[:, :, :2]
    return torch.cat([turned @ inner[:, :, :2], turned @ inner[:, :, 2:] + outer[:, :, 2:]], 2)


def warped(images: Tensor, pose: Tensor, mode: str = "bilinear") -> Tensor:
    """Return (N, S, S) or (N, C, S, S) images as their frames see them; 0 outside of the image."""
    x, y = _places(images.shape[-1])
    place = torch.stack([x.flatten(), y.flatten(), torch.ones(x.numel())])
    grid = (pose @ place).mT.reshape(len(pose), *x.shape, 2)
    channels = images if images.dim() == 4 else images[:, None]
    seen = F.grid_sample(channels, grid, mode=mode, padding_mode="zeros", align_corners=False)
    return seen.view(images.shape)


def filled(images: Tensor, pose: Tensor, outside: Tensor, mode: str = "bilinear") -> Tensor:
    """Return (N, S, S) images as their frames see them, with ``outside`` (S, S) beyond the image."""
    if mode == "bilinear":
        seen, inside = warped(torch.stack([images, torch.ones_like(images)], 1), pose).unbind(1)
    else:
        seen, inside = warped(images, pose, mode), warped(torch.ones_like(images), pose)
    return seen + (1 - inside) * outside


def aligned(images: Tensor, smooth: Tensor, target: Tensor, smooth_target: Tensor, pose: Tensor) -> Tensor:
    """Refine poses, so that (N, S, S) images look like (N, S, S) targets; keep those that get no better.

    Source: inverse compositional alignment, Baker and Matthews 2004, Int J Comput Vis 56, section 3.2.

    Args:
        smooth: the images, and ``smooth_target`` the targets, blurred by ``SMOOTH``.
        pose: (N, 2, 3) to start from.
    """
    layers = torch.stack([images, smooth, torch.ones_like(images)], 1)
    descent, flat = _steepest_descent(smooth_target), smooth_target.flatten(1)
    best, current = pose, pose
    best_fit = torch.full((len(images),), -1.0)
    for k in range(STEPS + 1):
        seen, frame, mask = warped(layers, current).flatten(2).unbind(1)
        fit = F.cosine_similarity(seen, target.flatten(1))
        better = fit > best_fit
        best = torch.where(better[:, None, None], current, best)
        best_fit = torch.where(better, fit, best_fit)
        if k == STEPS:
            break
        gain = ((frame * flat * mask).sum(1) / frame.square().sum(1).clamp_min(1e-6)).clamp_min(0.1)
        masked = descent * mask[:, None]
        hessian = masked @ descent.mT + 1e-2 * torch.eye(4)
        error = mask * (frame * gain[:, None] - flat)
        step = torch.linalg.solve(hessian, masked @ error[:, :, None])[:, :, 0]
        rotation, zoom, x, y = step.clamp(-LARGEST_STEP, LARGEST_STEP).T
        current = compose(current, inverse(similarity(rotation, zoom.exp(), x, y)))
    return best


def _steepest_descent(target: Tensor) -> Tensor:
    """Return the (N, 4, S * S) changes of targets per radian, log zoom, and half width right and down."""
    down, right = (gradient * (target.shape[-1] / 2) for gradient in torch.gradient(target, dim=(1, 2)))
    x, y = _places(target.shape[-1])
    parts = [down * x - right * y, -(right * x + down * y), right, down]
    return torch.stack([part.flatten(1) for part in parts], 1)


def _places(side: int) -> tuple[Tensor, Tensor]:
    """Return the (S, S) x and y of the pixel centers, from -1 to 1."""
    axis = (torch.arange(side) + 0.5) * 2 / side - 1
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    return x, y
