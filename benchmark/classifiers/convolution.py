"""Convolutions of few pixels as matrix products, which a CPU computes several times as fast."""

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, pad

# The library's convolution rearranges its weights at every call, which takes most of its time where weights
# are many and pixels (batch times output) few. The product is faster from this number of weights per pixel,
# by the number of taps (measured by perf/convolution.py).
WEIGHTS_PER_PIXEL = {1: 64, 9: 4000}


class MatmulConv2d(nn.Conv2d):
    """A convolution that is a matrix product for few pixels."""

    def forward(self, image: Tensor) -> Tensor:
        """Convolve (B, C, H, W)."""
        stride = self.stride[0]
        pixels = image.shape[0] * image.shape[2] * image.shape[3] // stride**2
        if self.weight.numel() < pixels * WEIGHTS_PER_PIXEL[self.kernel_size[0] ** 2]:
            return super().forward(image)
        return matmul_convolution(image, self.weight, self.bias, stride)


def use_matrix_products(network: nn.Module) -> None:
    """Turn every plain 1x1 and 3x3 convolution of a network into a matrix product wherever that is faster.

    Parameters, their names and the computed function stay; the order of sums changes.

    Args:
        network: is changed in place; grouped, dilated and unevenly padded convolutions stay as they are.
    """
    for module in network.modules():
        if type(module) is nn.Conv2d and _is_plain(module):
            module.__class__ = MatmulConv2d


def _is_plain(conv: nn.Conv2d) -> bool:
    side = conv.kernel_size[0]
    return (
        conv.kernel_size in ((1, 1), (3, 3))
        and conv.padding == (side // 2, side // 2)
        and conv.stride[0] == conv.stride[1]
        and conv.dilation == (1, 1)
        and conv.groups == 1
        and conv.padding_mode == "zeros"
    )


def matmul_convolution(image: Tensor, weight: Tensor, bias: Tensor | None = None, stride: int = 1) -> Tensor:
    """Compute a 1x1 or 3x3 convolution, zero padded to the same size, as one matrix product.

    Args:
        image: (B, C, H, W), best in channels_last.
        weight: (D, C, 1, 1) or (D, C, 3, 3).
        bias: (D,) or None.
        stride: across and down.
    Returns:
        (B, D, ceil(H / stride), ceil(W / stride)) in channels_last.
    """
    pixels = image.permute(0, 2, 3, 1)
    taps = pixels[:, ::stride, ::stride] if weight.shape[-1] == 1 else _neighbors(pixels, stride)
    flat = weight.permute(0, 2, 3, 1).reshape(len(weight), -1)
    # of two axes: with more, torch makes one small product per image where no gradient is required
    product = linear(taps.flatten(0, 2), flat, bias)
    return product.unflatten(0, taps.shape[:3]).permute(0, 3, 1, 2)


def _neighbors(pixels: Tensor, stride: int) -> Tensor:
    """Return (B, H', W', 9 C): every pixel with its eight neighbors, row by row; zero beyond the border."""
    height, width = pixels.shape[1:3]
    padded = pad(pixels, (0, 0, 1, 1, 1, 1))
    rows = [padded[:, i : i + height : stride] for i in range(3)]
    return torch.cat([row[:, :, j : j + width : stride] for row in rows for j in range(3)], -1)
