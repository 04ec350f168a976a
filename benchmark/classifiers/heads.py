"""The parts of a classifier: a body that gives features, and what stands on it."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

POCOVID_WIDTH = 64  # Born et al. 2021; Zhang et al. 2023, 3.3


class Classifier(nn.Module):
    """``body`` gives (B, D) features of (B, 1, H, W) images; dropout and ``last`` make logits of them.

    Attributes:
        pretrained: the part of the body that initial weights are for, under timm's names.
        replaced: beginnings of the names, in a file of weights, of the layers that ``last`` stands for.
        frozen: modules whose running statistics stay as they were.
    """

    def __init__(
        self, body: nn.Module, last: nn.Linear, dropout: float, *, yes_or_no: bool, pretrained: nn.Module,
        first_conv: str, replaced: tuple[str, ...],
    ) -> None:  # fmt: skip
        super().__init__()
        self.body, self.dropout, self.last = body, nn.Dropout(dropout), last
        self.yes_or_no = yes_or_no
        self._pretrained = (pretrained,)  # in a tuple, so that its weights are not registered twice
        self.first_conv, self.replaced = first_conv, replaced
        self.frozen: tuple[nn.Module, ...] = ()

    @property
    def pretrained(self) -> nn.Module:
        """The part that initial weights are for."""
        return self._pretrained[0]

    def forward(self, images: Tensor) -> Tensor:
        """(B, K) logits.

        One logit z for the second of two classes is given as [0, z]: the softmax of that is
        [1 - sigmoid(z), sigmoid(z)], and its cross-entropy is the binary cross-entropy of z.
        """
        output = self.last(self.dropout(self.body(images)))
        return torch.cat([torch.zeros_like(output), output], 1) if self.yes_or_no else output

    def train(self, mode: bool = True) -> Classifier:
        """Set the mode of all but the frozen normalizations, which always use what they have learned."""
        super().train(mode)
        for module in self.frozen:
            module.eval()
        return self

    def freeze_before(self, first: nn.Module) -> None:
        """Train ``first`` and what is defined after it, nothing else."""
        modules = list(self.modules())
        before = modules[: next(k for k, m in enumerate(modules) if m is first)]
        for module in before:
            for parameter in module.parameters(recurse=False):
                parameter.requires_grad_(False)
        self.frozen = tuple(m for m in before if getattr(m, "running_mean", None) is not None)
        self.train(self.training)


class Convolutions(nn.Module):
    """The convolutions of a VGG under timm's names, without the hidden layers of ImageNet's head."""

    def __init__(self, features: nn.Module) -> None:
        super().__init__()
        self.features = features

    def forward(self, images: Tensor) -> Tensor:
        """(B, 512, H / 32, W / 32) of (B, 1, H, W)."""
        features: Tensor = self.features(images)
        return features


def pocovid_body(convolutions: nn.Module, channels: int) -> nn.Module:
    """(B, 64) features of POCOVID-Net: pooled convolutions, a dense layer, batch normalization, ReLU.

    Source: Zhang et al. 2023, 3.3, after Born et al. 2021. Their texts name the dropout before the batch
    normalization; the published network, whose counts of parameters they give, normalizes before the ReLU.
    """
    return nn.Sequential(
        OrderedDict(
            convolutions=convolutions,
            pool=nn.AdaptiveAvgPool2d(1),
            flat=nn.Flatten(),
            dense=nn.Linear(channels, POCOVID_WIDTH),
            norm=nn.BatchNorm1d(POCOVID_WIDTH),
            act=nn.ReLU(),
        )
    )
