"""Latent space of a generator, for those who search it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@runtime_checkable
class LatentSpace(Protocol):
    """A fitted generator whose images are a differentiable function of codes.

    Attributes:
        latent_size: length D of a code.
    """

    @property
    def latent_size(self) -> int: ...

    def latents(self, count: int, random: torch.Generator, truncation: float | None = None) -> Tensor:
        """Draw (N, D) codes as in training; with ``truncation``, from the distribution truncated there.

        Source of the truncation: Segal et al. 2021, section 4.3.
        """

    def decode(self, latents: Tensor, label: Tensor, random: torch.Generator) -> Tensor:
        """Return (N, 1, S, S) images of the fitted size, in about [0, 1], with gradients to the codes.

        Args:
            label: (N,) index of the class among the fitted ones; an unconditional generator ignores it.
            random: of everything that the codes do not decide, such as the noise inputs of StyleGAN.
        """


@runtime_checkable
class CriticFeatures(Protocol):
    """A fitted generator that retains its critic, which can be trained for another purpose.

    Source: Segal et al. 2021, section 3.3, which replaces the last linear layer.
    """

    @property
    def feature_size(self) -> int: ...

    def critic_features(self, images: Tensor, *, alone: bool = False) -> Tensor:
        """Return (N, F) features of (N, 1, S, S) images of the fitted size in [0, 1], with gradients.

        Args:
            alone: let no image of the batch count in the features of another.
        """

    def critic_parameters(self) -> list[torch.nn.Parameter]:
        """Return the parameters of the features, for training them further."""
