"""The lesion-preservation loss: noise error inside the mask, structure and features of the lesion region.

Source: Papadopoulos and Georgiou 2024, Lesion preservation loss: a weighted term on the regions of the masks,
the structural similarity, and a distance of features of a pre-trained network. The paper has no equations and
no weights.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WINDOW = 7  # of the structural similarity, as scikit-image's default: small lesions are few pixels wide


def inside(error: Tensor, mask: Tensor) -> Tensor:
    """Return (N,) means of (N, C, S, S) over the pixels of (N, 1, S, S) masks in [0, 1]; 0 without pixels."""
    return (error.mean(1, keepdim=True) * mask).sum((1, 2, 3)) / mask.sum((1, 2, 3)).clamp(min=1e-6)


def structural_error(predicted: Tensor, clean: Tensor, mask: Tensor) -> Tensor:
    """Return (N,) 1 - SSIM over the windows around the pixels of the mask; images in [-1, 1].

    Source: Wang et al. 2004, equation 13, by MONAI with an even window.
    """
    from monai.metrics.regression import compute_ssim_and_cs

    edge = [WINDOW // 2] * 4
    first, second = (F.pad(image.float(), edge, mode="reflect") for image in (predicted, clean))
    size, sigma = (WINDOW, WINDOW), (1.5, 1.5)  # an even window has no sigma
    similarity, _ = compute_ssim_and_cs(first, second, 2, size, sigma, data_range=2.0, kernel_type="uniform")
    return inside(1 - similarity, mask)


class PerceptualError:
    """Distance of the features of a network between images that differ inside the mask alone.

    The features are those after the last convolution at every resolution, each position of unit length, as in
    LPIPS (Zhang et al. 2018, arXiv:1801.03924, equation 1, without learned weights).

    Args:
        network: frozen, from (N, 1, S, S) images in [0, 1].
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self._maps: dict[tuple[int, ...], Tensor] = {}
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d):
                layer.register_forward_hook(self._keep)

    def _keep(self, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        self._maps[tuple(output.shape[2:])] = output

    def __call__(self, predicted: Tensor, clean: Tensor, mask: Tensor) -> Tensor:
        """Return (N,) distances; images in [-1, 1]."""
        blended = predicted * mask + clean * (1 - mask)
        with torch.no_grad():
            expected = self._features(clean)
        got = self._features(blended)
        return torch.stack(
            [(a - b).square().sum(1).mean((1, 2)) for a, b in zip(got, expected, strict=True)]
        ).mean(0)

    def _features(self, images: Tensor) -> list[Tensor]:
        self._maps.clear()
        self.network((images / 2 + 0.5).clamp(0, 1))
        maps = [F.normalize(each.float(), dim=1) for each in self._maps.values()]
        self._maps.clear()
        return maps
