"""The latent space of lesion-preserving diffusion: an autoencoder, trained in the same fit or given."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, Field, model_validator
from torch import Tensor, nn

from benchmark.errors import GeneratorError
from benchmark.generators import _network_training as training
from benchmark.generators._base import TENSORS
from benchmark.generators._lesion_loss import inside, structural_error
from benchmark.plugins.contexts import FitContext

CHOICE = "own choice; the paper has no value"
OWN = "autoencoder."  # start of the names of the weights
LOGGED = 20  # approximate number of entries of the autoencoder in the curves


class LatentParams(BaseModel, extra="forbid", frozen=True):
    """The autoencoder: MONAI's ``AutoencoderKL`` without attention, one gray channel.

    At 256 px the defaults give latents of 64 x 64; at 512 px add a level: channels [64, 128, 256, 256].
    """

    folder: Path | None = Field(
        None,
        description=f"of a fit in a latent space, whose autoencoder is used; None trains one; {CHOICE}",
    )
    channels: tuple[int, ...] = Field(
        (64, 128, 256), min_length=2, description=f"from the first level on; {CHOICE}"
    )
    layers: int = Field(1, ge=1, description=f"residual blocks per level; {CHOICE}")
    groups: int = Field(32, ge=1, description="of the group normalization; MONAI's default")
    latent_channels: int = Field(3, ge=1, description=CHOICE)
    steps: int = Field(20_000, ge=1, description=f"training steps, before those of the diffusion; {CHOICE}")
    batch_size: int = Field(8, ge=1, description=CHOICE)
    learning_rate: float = Field(1e-4, gt=0, description=CHOICE)
    kl: float = Field(1e-6, ge=0, description=f"weight of the divergence from a normal law; {CHOICE}")
    ssim: float = Field(0.1, ge=0, description=f"weight of 1 - SSIM of the reconstruction; {CHOICE}")
    decoded: int = Field(
        2, ge=1, description=f"images of a batch that are decoded for the SSIM and perceptual terms; {CHOICE}"
    )

    @model_validator(mode="after")
    def _consistent(self) -> LatentParams:
        if wrong := [c for c in self.channels if c % self.groups]:
            raise ValueError(f"latent.channels: {wrong[0]} is not a multiple of groups {self.groups}")
        return self

    @property
    def factor(self) -> int:
        """Pixels across that one latent covers."""
        return int(2 ** (len(self.channels) - 1))

    def check_size(self, side: int, name: str) -> None:
        """Refuse images whose side is no multiple of the factor.

        Raises:
            GeneratorError: names both.
        """
        if side % self.factor:
            problem = f"{len(self.channels)} levels do not divide {side} px"
            remedy = f"Use a multiple of {self.factor} px, or fewer levels."
            raise GeneratorError(f"generator '{name}': latent.channels", problem, remedy)


class LatentSpace(nn.Module):
    """An autoencoder, and the scale that gives its latents a variance of one.

    Source: Rombach et al. 2022, arXiv:2112.10752, for diffusion in a latent space.
    """

    scale: Tensor

    def __init__(self, params: LatentParams) -> None:
        super().__init__()
        from monai.networks.nets import AutoencoderKL

        self.params = params
        self.network: Any = AutoencoderKL(
            2, 1, 1, num_res_blocks=params.layers, channels=params.channels,
            attention_levels=[False] * len(params.channels), latent_channels=params.latent_channels,
            norm_num_groups=params.groups, with_encoder_nonlocal_attn=False, with_decoder_nonlocal_attn=False,
        )  # fmt: skip
        self.register_buffer("scale", torch.ones(()))

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        """Return (N, C, s, s) latents, the mean of the encoder's law, of (N, 1, S, S) images in [-1, 1]."""
        return torch.as_tensor(self.network.encode(images)[0] * self.scale)

    def decode(self, latents: Tensor) -> Tensor:
        """Return (N, 1, S, S) images in about [-1, 1]."""
        return torch.as_tensor(self.network.decode(latents / self.scale))

    def frozen(self) -> LatentSpace:
        """Return the space without gradients of its weights."""
        return self.eval().requires_grad_(False)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the weights by name."""
        return {OWN + k: v.detach().cpu().contiguous().numpy() for k, v in self.state_dict().items()}

    @classmethod
    def read(
        cls, folder: Path | None, params: LatentParams, own: Mapping[str, np.ndarray] | None = None
    ) -> LatentSpace:
        """Read a frozen space from a folder, or from a fit's own weights.

        The folder may be that of a fit of this generator in a latent space.

        Raises:
            GeneratorError: there are no such weights, or of another shape.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        remedy = "Give the folder of a fit in a latent space, with the same channels, layers and groups."
        try:
            if own is None:
                assert folder is not None
                state = {k: v for k, v in load_file(folder / TENSORS).items() if k.startswith(OWN)}
            else:
                state = {k: torch.from_numpy(v) for k, v in own.items()}
            space = cls(params)
            space.load_state_dict({k.removeprefix(OWN): v for k, v in state.items()})
        except (OSError, RuntimeError, SafetensorError) as error:
            first = str(error).strip().splitlines()[0]
            raise GeneratorError(
                f"latent.folder {folder}", f"has no such autoencoder: {first}", remedy
            ) from error
        return space.frozen()


def train_autoencoder(
    params: LatentParams,
    batches: training.Batches,
    lesion: tuple[float, np.ndarray | None],
    context: FitContext,
    later: int,
) -> LatentSpace:
    """Train the autoencoder; a killed training goes on where its state was saved.

    The loss is the absolute error, counted again inside the masks, 1 - SSIM, and the divergence. There is no
    adversarial term, so that fine texture is smooth.

    Args:
        lesion: weight of the error inside the masks, and (N, S, S) uint8 masks, or None.
        later: steps of the diffusion that follow, for the share of the fit that is done.
    Raises:
        GeneratorError: the loss is not finite.
    """
    with training.seeded_weights(context.seed + 1):
        space = training.place(LatentSpace(params), context.device)
    state = context.load_state()
    if state is not None and "live" in state:  # the diffusion has begun
        space.load_state_dict(state["autoencoder"])
        return space.frozen()
    optimizer = torch.optim.Adam(space.network.parameters(), lr=params.learning_rate)
    parts, saver = {"autoencoder": space, "autoencoder_optimizer": optimizer}, training.StateSaver(context)
    for step in range(saver.resume(parts), params.steps):
        number = step + later  # other batches than those of the diffusion
        rows = training.draw_batch(batches.position, params.batch_size, number, context.seed, batches.balance)
        images = training.to_network(batches.images[rows], context.device)
        random = training.step_generator(context.seed, number, context.device)
        mean, spread = space.network.encode(images)
        noise = torch.randn(mean.shape, generator=random, device=mean.device)
        shown = space.network.decode(mean + spread * noise)
        error = (shown - images).abs()
        loss = error.mean() + params.kl * _divergence(mean, spread)
        loss = loss + params.ssim * structural_error(shown, images, torch.ones_like(images)).mean()
        if lesion[1] is not None and lesion[0]:
            mask = torch.from_numpy(lesion[1][rows] > 127).to(context.device).float()[:, None]
            loss = loss + lesion[0] * inside(error, mask).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % max(1, params.steps // LOGGED) == 0 or step + 1 == params.steps:
            context.log(
                step + 1,
                autoencoder_loss=float(loss.detach()),
                autoencoder_error=float(error.detach().mean()),
            )
        context.checkpoint(step + 1, params.steps + later, first=params.steps)
        saver.save_if_due(step + 1, parts)
    some = np.linspace(0, len(batches.images) - 1, min(64, len(batches.images))).astype(int)
    latents = space.encode(training.to_network(batches.images[some], context.device))
    space.scale.copy_(1 / latents.std().clamp(min=1e-6))
    return space.frozen()


def _divergence(mean: Tensor, spread: Tensor) -> Tensor:
    """Return the mean over images of the divergence of N(mean, spread) from the standard normal law."""
    each = 0.5 * (mean.square() + spread.square() - 1 - 2 * spread.log())
    return each.sum((1, 2, 3)).mean()
