"""Parameters of lesion-preserving diffusion; the paper gives the structure, and few numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, model_validator

from benchmark.generators._lesion_latent import LatentParams

PAPER = "Papadopoulos and Georgiou 2024"
OWN = "own choice; the paper has no value"
SAME = "as ddpm, whose source is Schaudt et al. 2023, Table 3, or diffusers"


class Params(BaseModel, extra="forbid", frozen=True):
    """Conditions, loss, network and training; the paper gives the structure, and few numbers."""

    conditions: tuple[Literal["label", "mask", "text"], ...] = Field(
        ("label", "mask", "text"), min_length=1, description=f"{PAPER}, Table 1; the default is its last row"
    )
    latent: LatentParams | None = Field(
        None, description=f"autoencoder in whose latent space the diffusion works; None in pixels; {OWN}"
    )
    mask_channels: Literal["one", "by_class"] = Field(
        "by_class", description=f"binary or multi-class mask; {PAPER}, Conditioning mechanism"
    )
    lesion_noise: float = Field(
        1.0,
        ge=0,
        description=f"weight of the error inside the mask; {PAPER}, Lesion preservation loss; {OWN}",
    )
    lesion_ssim: float = Field(0.1, ge=0, description=f"weight of 1 - SSIM of the lesion region; {OWN}")
    lesion_perceptual: float = Field(
        0.1, ge=0, description=f"weight of the distance of a classifier's features of the region; {OWN}"
    )
    text_encoder: Path | None = Field(
        None, description=f"folder of a pre-trained CLIPTextModel with its tokenizer; None trains one; {OWN}"
    )
    text_width: int = Field(128, ge=8, description=f"of the text encoder that is trained; {OWN}")
    text_layers: int = Field(2, ge=1, description=f"of the text encoder that is trained; {OWN}")
    tokens: int = Field(32, ge=4, le=77, description=f"longest text; the sentences have up to 25; {OWN}")
    channels: tuple[int, ...] = Field((128, 128, 256, 256, 512, 512), min_length=2, description=SAME)
    layers: int = Field(2, ge=1, description=f"residual blocks per level; {SAME}")
    attention: int = Field(
        2,
        ge=1,
        description=f"number of the lowest resolutions with attention; {PAPER}, Reverse denoising network",
    )
    heads: int = Field(8, ge=1, description=f"of an attention; {OWN}")
    modulation: Literal["default", "scale_shift"] = Field("default", description=SAME)
    groups: int = Field(32, ge=1, description=f"of the group normalization; {SAME}")
    unshuffle: int = Field(1, ge=1, le=8, description=f"side of pixel blocks folded into channels; {SAME}")
    prediction: Literal["epsilon", "v_prediction", "sample"] = Field(
        "epsilon", description=f"{PAPER}, Reverse denoising network: the noise"
    )
    snr_gamma: float | None = Field(None, gt=0, description="min-SNR loss weights, arXiv:2303.09556")
    noise_steps: int = Field(1000, ge=2, description=f"{PAPER}, Forward diffusion process: one thousand")
    noise_schedule: Literal["linear", "squaredcos_cap_v2"] = Field(
        "squaredcos_cap_v2", description=f"linear or cosine; {PAPER}, Forward diffusion process"
    )
    steps: int = Field(13_750, ge=1, description=f"training steps; {SAME}")
    batch_size: int = Field(8, ge=1, description=SAME)
    balance: float = Field(1.0, ge=0, le=1, description="0 draws images, 1 draws classes equally; " + OWN)
    learning_rate: float = Field(1e-4, gt=0, description=SAME)
    rate_schedule: Literal["cosine", "constant"] = Field("cosine", description=SAME)
    warmup: int = Field(500, ge=0, description=f"steps; {SAME}")
    beta1: float = Field(0.95, ge=0, lt=1, description=SAME)
    beta2: float = Field(0.999, ge=0, lt=1, description=SAME)
    weight_decay: float = Field(1e-6, ge=0, description=SAME)
    max_gradient_norm: float = Field(1.0, gt=0, description=SAME)
    average: float = Field(0.999, ge=0, lt=1, description=f"decay of the averaged weights, 0 none; {OWN}")
    condition_dropout: float = Field(0.0, ge=0, lt=1, description="share trained without conditions; " + OWN)
    guidance: float = Field(1.0, ge=0, description=f"1 + w of classifier-free guidance; {OWN}")
    denoising_steps: int = Field(
        50, ge=1, le=50, description=f"DDIM, 50 or fewer; {PAPER}, Implementation pathways"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Params:
        if len(set(self.conditions)) < len(self.conditions):
            raise ValueError("conditions: one is named twice")
        for name in ("groups", "heads"):
            wrong = [c for c in self.channels if c % getattr(self, name)]
            if wrong:
                raise ValueError(f"channels: {wrong[0]} is not a multiple of {name} {getattr(self, name)}")
        if self.attention > len(self.channels):
            raise ValueError("attention exceeds the number of channels")
        if self.denoising_steps > self.noise_steps:
            raise ValueError("denoising_steps exceeds noise_steps")
        if self.guidance != 1 and not self.condition_dropout:
            raise ValueError("guidance needs condition_dropout: no model is trained without conditions")
        return self
