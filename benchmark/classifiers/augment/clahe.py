"""Contrast limited adaptive histogram equalization (CLAHE) of a batch, equal to OpenCV's of one image."""

import torch
from torch import Tensor
from torch.nn.functional import pad

LEVELS = 256


def clahe(batch: Tensor, clip_limit: Tensor, tiles: int = 8) -> Tensor:
    """Replace gray by its rank among the grays of the surrounding tiles, where no gray counts too often.

    Args:
        batch: (N, 1, H, W) float in [0, 1]; read in 256 levels.
        clip_limit: (N,) above 0: largest count of a level, relative to an even spread. As in OpenCV it is
            a whole number of pixels, at least one.
        tiles: along each side.
    Returns:
        (N, 1, H, W) float in [0, 1].
    Source: Zuiderveld 1994, Graphics Gems IV, VIII.5; OpenCV's ``createCLAHE``.
    """
    height, width = batch.shape[-2:]
    table, tile = _tables(batch, clip_limit, tiles)
    level = _level(batch)[:, 0]
    image = torch.arange(len(batch), device=batch.device)[:, None, None] * (tiles * tiles * LEVELS)
    entry = image + level
    above, below, down = _neighbors(height, tile[0], tiles, batch)
    left, right, across = _neighbors(width, tile[1], tiles, batch)

    def read(row: Tensor, column: Tensor) -> Tensor:
        at = entry + (row[:, None] * tiles + column) * LEVELS
        return table.index_select(0, at.flatten()).view(at.shape)

    top = torch.lerp(read(above, left), read(above, right), across)
    bottom = torch.lerp(read(below, left), read(below, right), across)
    return torch.lerp(top, bottom, down[:, None])[:, None].clamp(0, 1)


def _level(batch: Tensor) -> Tensor:
    """Return gray levels 0 to 255."""
    return (batch * (LEVELS - 1)).round().long()


def _tables(batch: Tensor, clip_limit: Tensor, tiles: int) -> tuple[Tensor, tuple[int, int]]:
    """Return the (N * tiles * tiles * 256,) new grays of each level in each tile, and a tile's sides."""
    whole = _whole_tiles(batch, tiles)
    n, _, height, width = whole.shape
    tile = height // tiles, width // tiles
    area = tile[0] * tile[1]
    row = torch.arange(height, device=batch.device) // tile[0]
    column = torch.arange(width, device=batch.device) // tile[1]
    image = torch.arange(n, device=batch.device)[:, None, None] * (tiles * tiles)
    entry = ((image + row[:, None] * tiles + column) * LEVELS + _level(whole)[:, 0]).flatten()
    count = torch.zeros(n * tiles * tiles * LEVELS, dtype=torch.int32, device=batch.device)
    count = count.scatter_add_(0, entry, torch.ones_like(entry, dtype=torch.int32))
    most = (clip_limit * area / LEVELS).int().clamp(min=1).to(batch.device)
    clipped = _clip(count.view(n, tiles * tiles, LEVELS), most[:, None, None])
    return (clipped.cumsum(-1) / area).to(batch.dtype).flatten(), tile


def _whole_tiles(batch: Tensor, tiles: int) -> Tensor:
    """Mirror at the right and bottom to a multiple of the tiles. As in OpenCV both sides grow, or none."""
    height, width = batch.shape[-2:]
    if height % tiles == 0 and width % tiles == 0:
        return batch
    return pad(batch, (0, tiles - width % tiles, 0, tiles - height % tiles), mode="reflect")


def _clip(count: Tensor, most: Tensor) -> Tensor:
    """Cut counts at a limit; the excess goes to all levels evenly, its remainder at even distances."""
    excess = (count - most).clamp(min=0).sum(-1, keepdim=True)
    level = torch.arange(LEVELS, device=count.device)
    rest = excess % LEVELS
    step = LEVELS // rest.clamp(min=1)
    favored = (level % step == 0) & (level // step < rest)
    return count.minimum(most) + excess // LEVELS + favored


def _neighbors(side: int, tile: int, tiles: int, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return, per pixel of a side, the tiles with centers before and behind it, and the latter's weight."""
    place = torch.arange(side, device=like.device, dtype=like.dtype) / tile - 0.5
    first = place.floor()
    weight = place - first
    before = first.long()
    return before.clamp(min=0), (before + 1).clamp(max=tiles - 1), weight
