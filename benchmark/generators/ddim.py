"""Denoising diffusion with the deterministic sampler (Song et al. 2020), as in Lan 2023, section 4.6."""

from typing import Any, Literal

from pydantic import Field

from benchmark.generators import ddpm
from benchmark.generators._diffusers_parts import scheduler
from benchmark.generators.ddpm import search_space

__all__ = ["Generator", "Params", "card", "search_space", "tiny", "version"]

version = "1"

LAN = "Lan 2023, section 4.6, DDIM"
SONG = "code of Song et al. 2020 (ermongroup/ddim), which Lan 2023 uses"

card = {
    "title": "DDIM",
    "role": "generator",
    "description": "Denoising diffusion in pixel space with a U-Net, drawn by the deterministic sampler over "
    "some of the times; conditioned on the class where a fit has several.",
    "citation": "Song et al. 2020, arXiv:2010.02502; protocol: Lan 2023",
    "license": "Apache-2.0",
}


class Params(ddpm.Params, extra="forbid", frozen=True):
    """Parameters of ``ddpm`` with the defaults of Lan 2023."""

    noise_steps: int = Field(4000, ge=2, description=LAN)
    steps: int = Field(4_000_000, ge=1, description=f"training steps, n_iters; {LAN}")
    batch_size: int = Field(16, ge=1, description=LAN)
    warmup: int = Field(0, ge=0, description=f"steps; {SONG}")
    rate_schedule: Literal["cosine", "constant"] = Field("constant", description=SONG)
    beta1: float = Field(0.9, ge=0, lt=1, description=SONG)
    weight_decay: float = Field(0.0, ge=0, description=SONG)
    average: float = Field(0.9999, ge=0, lt=1, description=f"decay of the averaged weights; {SONG}")
    sampler: Literal["ddim"] = Field("ddim", description="Song et al. 2020, equation 12 with sigma 0")
    denoising_steps: int = Field(1000, ge=10, le=1000, description=f"Table 1 has 10 to 1000; {SONG}")


def tiny() -> dict[str, Any]:
    """Return parameters of a fit of seconds."""
    return ddpm.tiny() | {"noise_steps": 20, "sampler": "ddim", "denoising_steps": 10, "warmup": 0}


class DDIM(ddpm.DDPM):
    """The model of ``ddpm`` with the published deterministic sampler."""

    name = "ddim"
    params_type = Params

    def sampler(self) -> Any:
        """Return DDIM over times in equal steps from 0 on, without clipping, as the published code."""
        return scheduler(
            "DDIMScheduler", self.schedule() | {"timestep_spacing": "leading", "clip_sample": False}
        )


Generator = DDIM
