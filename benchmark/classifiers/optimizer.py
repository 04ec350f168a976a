"""Adam without rearranging weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn


class Adam:
    """AdamW over the trainable parameters of a network, decay on weights alone.

    torch's fused kernel on the CPU copies every tensor that is not contiguous, forth and back, as the weights
    of a channels_last network are not. It is handed views of the same numbers in the order of their memory.

    Args:
        network: in the memory format and on the device that it will keep.
        weight_decay: decoupled from the gradient; biases and normalization parameters are not decayed.
    """

    def __init__(self, network: nn.Module, weight_decay: float) -> None:
        import torch

        self._weights = [p for p in network.parameters() if p.requires_grad]
        self._views = [torch.nn.Parameter(in_order(p.data, p)) for p in self._weights]
        decayed = [v for v in self._views if v.ndim > 1]
        plain = [v for v in self._views if v.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]
        self._adam = torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.999), fused=True)

    def step(self, learning_rate: float) -> None:
        """One update from the gradients of the network, which are then gone."""
        for group in self._adam.param_groups:
            group["lr"] = learning_rate
        for weight, view in zip(self._weights, self._views, strict=True):
            view.grad = None if weight.grad is None else in_order(weight.grad, weight).contiguous()
            weight.grad = None
        self._adam.step()

    def state_dict(self) -> dict[str, Any]:
        """Everything but the weights that a resumed training needs."""
        return self._adam.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from ``state_dict``."""
        self._adam.load_state_dict(dict(state))


def in_order(numbers: Tensor, weight: Tensor) -> Tensor:
    """A view of ``numbers`` with its axes in the order in which those of ``weight`` lie in memory."""
    import torch

    if weight.ndim == 4 and weight.is_contiguous(memory_format=torch.channels_last):
        return numbers.permute(0, 2, 3, 1)
    return numbers
