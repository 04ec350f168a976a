"""A classifier as a body, which computes features, and a head."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

POCOVID_WIDTH = 64  # Born et al. 2021; Zhang et al. 2023, 3.3


class Classifier(nn.Module):
    """``body`` computes (B, D) features of (B, 1, H, W) images; dropout and ``last`` turn them into logits.

    Attributes:
        pretrained: the part of the body that gets initial weights, under timm's names.
        replaced: prefixes of the names, in a file of weights, of the layers that ``last`` replaces.
        frozen: modules whose running statistics do not change.
    """

    def __init__(
        self, body: nn.Module, last: nn.Linear, dropout: float, *, single_logit: bool, pretrained: nn.Module,
        first_conv: str, replaced: tuple[str, ...],
    ) -> None:  # fmt: skip
        super().__init__()
        self.body, self.dropout, self.last = body, nn.Dropout(dropout), last
        self.single_logit = single_logit
        self._pretrained = (pretrained,)  # in a tuple, so that its weights are not registered twice
        self.first_conv, self.replaced = first_conv, replaced
        self.frozen: tuple[nn.Module, ...] = ()

    @property
    def pretrained(self) -> nn.Module:
        """The part that gets initial weights."""
        return self._pretrained[0]

    def forward(self, images: Tensor) -> Tensor:
        """Return (B, K) logits.

        One logit z for the second of two classes is returned as [0, z]: its softmax is
        [1 - sigmoid(z), sigmoid(z)], and its cross-entropy is the binary cross-entropy of z.
        """
        output = self.last(self.dropout(self.body(images)))
        return torch.cat([torch.zeros_like(output), output], 1) if self.single_logit else output

    def train(self, mode: bool = True) -> Classifier:
        """Set the mode of all modules but the frozen normalizations, which stay in evaluation mode."""
        super().train(mode)
        for module in self.frozen:
            module.eval()
        return self

    def freeze_before(self, first: nn.Module) -> None:
        """Train ``first`` and the modules defined after it, nothing else."""
        modules = list(self.modules())
        before = modules[: next(k for k, m in enumerate(modules) if m is first)]
        for module in before:
            for parameter in module.parameters(recurse=False):
                parameter.requires_grad_(False)
        self.frozen = tuple(m for m in before if getattr(m, "running_mean", None) is not None)
        self.train(self.training)


def pocovid_body(convolutions: nn.Module, channels: int) -> nn.Module:
    """Build the body of POCOVID-Net, (B, 64) features: convolutions, pooling, dense, normalization, ReLU.

    Source: Zhang et al. 2023, 3.3, after Born et al. 2021. Their texts put the dropout before the batch
    normalization; the published network, whose parameter counts they report, normalizes before the ReLU.
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
