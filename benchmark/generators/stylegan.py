"""StyleGAN (Karras et al. 2019) with DiffAugment, as in Schaudt et al. 2023, section 3.2.1."""

from itertools import pairwise
from typing import Any, Literal

import torch
from pydantic import BaseModel, Field
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.generators import _gan_layers as layers
from benchmark.generators._gan_training import Setting
from benchmark.generators._growing_gan import GrowingGan
from benchmark.generators._growth import Growth

version = "4"

TABLE = "Schaudt et al. 2023, Table 3, GAN"
KARRAS = "Karras et al. 2019, arXiv:1812.04948"
OWN = "own choice"
HIGH = 128  # px; from here on the second of two batch sizes and learning rates holds

card = {
    "title": "StyleGAN",
    "role": "generator",
    "description": "Mapping network, AdaIN, noise inputs and progressive growing, trained with WGAN-GP and "
    "DiffAugment; conditioned on the class by an embedding and a projection critic.",
    "citation": f"{KARRAS}; Zhao et al. 2020, arXiv:2006.10738; protocol: Schaudt et al. 2023",
    "license": "Apache-2.0",
}


class Params(BaseModel, extra="forbid", frozen=True):
    """Size, schedule and training; the defaults are the paper's protocol at 256 px."""

    style: int = Field(512, ge=2, description=f"length of codes and styles; {KARRAS}")
    mapping_layers: int = Field(8, ge=1, description=KARRAS)
    channels: int = Field(512, ge=1, description=f"largest number of maps; {KARRAS}")
    channels_by_side: int = Field(16_384, ge=1, description=f"maps times side at high resolution; {KARRAS}")
    start_size: int = Field(8, ge=4, description="px where growing starts; Karras et al. 2019, section 2")
    final_share: float = Field(
        1 / 6,
        gt=0,
        le=1,
        description=f"of the steps at full size, the rest equally; {OWN}: 8 to 256 px are 6",
    )
    fade: float = Field(0.5, ge=0, le=1, description=f"share of a size's steps that blend it in; {OWN}")
    mixing: float = Field(0.9, ge=0, le=1, description=f"probability of style mixing; {KARRAS}")
    steps: int = Field(37_500, ge=1, description=f"training steps; {TABLE}")
    batch_size: tuple[int, int] = Field(
        (32, 16), description=f"below {HIGH} px, and from there on; {TABLE} has the range"
    )
    learning_rate: tuple[float, float] = Field((1e-3, 5e-4), description=f"likewise; {TABLE}")
    critic_pace: float = Field(1.0, gt=0, description=f"learning rate of the critic, relative; {OWN}")
    beta1: float = Field(0.0, ge=0, lt=1, description=TABLE)
    beta2: float = Field(0.99, ge=0, lt=1, description=TABLE)
    penalty: float = Field(10.0, ge=0, description="gradient penalty of WGAN-GP; Gulrajani et al. 2017")
    drift: float = Field(1e-3, ge=0, description="pull of real scores to 0; Karras et al. 2018, appendix A.1")
    augmentation: tuple[Literal["color", "translation", "cutout"], ...] = Field(
        ("color", "translation", "cutout"), description="DiffAugment; Zhao et al. 2020"
    )
    balance: float = Field(0.0, ge=0, le=1, description=f"0 draws images, 1 draws classes equally; {OWN}")
    average: float = Field(
        0.0, ge=0, lt=1, description=f"decay of the averaged generator, 0 none; {TABLE}, EMA; {KARRAS}: 0.999"
    )
    truncation: float = Field(
        1.0, ge=0, le=1, description=f"pull of styles to their class's mean, 1 none; {OWN}; {KARRAS}: 0.7"
    )


def tiny() -> dict[str, Any]:
    """Return parameters of a fit of seconds."""
    return {
        "style": 8, "mapping_layers": 2, "channels": 8, "steps": 6, "batch_size": (4, 4), "final_share": 0.5,
        "average": 0.9, "truncation": 0.9,
    }  # fmt: skip


def search_space(trial: Any) -> dict[str, Any]:
    """Suggest the learning rates, the penalty, the averaging, the growth and the mixture of classes."""
    rate = trial.suggest_float("learning_rate", 5e-4, 4e-3, log=True)
    return {
        "learning_rate": (rate, rate / 2),
        "penalty": trial.suggest_float("penalty", 1.0, 20.0, log=True),
        "average": trial.suggest_categorical("average", [0.99, 0.995, 0.999]),
        "final_share": trial.suggest_float("final_share", 0.3, 0.8),
        "balance": trial.suggest_float("balance", 0.0, 1.0),
    }


class MappingNetwork(nn.Module):
    """MLP from latent code and class to style, which learns a hundred times slower."""

    def __init__(self, width: int, depth: int, classes: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(classes, width) if classes > 1 else None
        sizes = [2 * width if classes > 1 else width] + [width] * depth
        self.layers = nn.ModuleList(
            layers.Linear(a, b, gain=layers.GAIN, pace=0.01) for a, b in pairwise(sizes)
        )

    def forward(self, code: Tensor, label: Tensor) -> Tensor:
        """Map (N, D) codes and (N,) classes to (N, D) styles."""
        x = layers.unit_length(code)
        if self.embedding is not None:
            x = torch.cat([x, layers.unit_length(self.embedding(label))], 1)
        for layer in self.layers:
            x = layers.activate(layer(x))
        return x


class Styled(nn.Module):
    """Noise, bias, leaky ReLU, then AdaIN: the style sets mean and deviation of each map."""

    def __init__(self, channels: int, style: int) -> None:
        super().__init__()
        self.noise_strength = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.scale, self.shift = layers.Linear(style, channels, bias=1.0), layers.Linear(style, channels)

    def forward(self, x: Tensor, style: Tensor, random: torch.Generator) -> Tensor:
        noise = torch.randn(len(x), 1, *x.shape[2:], generator=random, device=x.device).to(x.dtype)
        noisy = torch.addcmul(x + self.bias.to(x.dtype), self.noise_strength.to(x.dtype), noise)
        x = layers.activate(noisy)
        return adain(x, self.scale(style), self.shift(style))


def adain(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Give every (N, C, S, S) map the (N, C) deviation |scale| and the mean shift."""
    with torch.autocast(x.device.type, enabled=False):  # it sums in float32 anyway
        normal = F.group_norm(x, x.shape[1], eps=1e-8)
    scale, shift = (style[:, :, None, None].to(x.dtype) for style in (scale, shift))
    return torch.addcmul(shift, normal, scale)


class StyleNetwork(nn.Module):
    """Mapping and synthesis networks; level 0 has the size of the constant, each further one doubles it."""

    def __init__(
        self, side: int, channels: list[int], style: int, depth: int, classes: int, colors: int = 1
    ) -> None:
        super().__init__()
        self.mapping = MappingNetwork(style, depth, classes)
        self.constant = nn.Parameter(torch.ones(1, channels[0], side, side))
        self.enlarge = nn.ModuleList(
            layers.Conv(a, b, resample="up", blur=True, bias=False) for a, b in pairwise(channels)
        )
        self.convolve = nn.ModuleList(layers.Conv(c, c, bias=False) for c in channels)
        self.first = nn.ModuleList(Styled(c, style) for c in channels)
        self.second = nn.ModuleList(Styled(c, style) for c in channels)
        self.to_gray = nn.ModuleList(layers.Conv(c, colors, 1, gain=1.0) for c in channels)

    def forward(self, styles: Tensor, level: int, blend: float, random: torch.Generator) -> Tensor:
        """Synthesize (N, 1, S, S) from (N, levels, D) styles; ``blend`` < 1 blends in the previous level."""
        x = self.constant.expand(len(styles), -1, -1, -1)
        previous = None
        for i in range(level + 1):
            if i == level and blend < 1:
                previous = self.to_gray[i - 1](x).float()
            if i:
                x = self.enlarge[i - 1](x)
            x = self.first[i](x, styles[:, i], random)
            x = self.second[i](self.convolve[i](x), styles[:, i], random)
        return layers.blend_in(previous, self.to_gray[level](x).float(), blend)


class StyleGAN(GrowingGan):
    """A style-based generator against a critic, growing from small images to full size."""

    name = "stylegan"
    params_type = Params
    blur = True  # bilinear resampling; Karras et al. 2019, table 1, B

    network: StyleNetwork

    @property
    def growth(self) -> Growth:
        """The growth to the fitted image size."""
        p = self.params
        return Growth.by_share(self.image_size, p.start_size, p.steps, p.final_share, p.fade)

    def move_to(self, step: int) -> Setting:
        p = self.params
        phase = self.grow_to(step)
        high = self.growth.size(phase.level) >= HIGH
        rate = p.learning_rate[high]
        return Setting(phase.level, phase.since, p.batch_size[high], rate, rate * p.critic_pace)

    def synthesize(self, network: Any, label: Tensor, random: torch.Generator) -> Tensor:
        """Synthesize images of the classes; some take the style of another code from a random level on."""
        shape, levels = (len(label), self.params.style), self.phase.level + 1
        styles = network.mapping(torch.randn(shape, generator=random, device=self.device), label)
        styles = styles[:, None].expand(-1, levels, -1)
        if self.params.mixing:
            other = network.mapping(torch.randn(shape, generator=random, device=self.device), label)
            start = torch.randint(1, levels + 1, (len(label), 1), generator=random, device=self.device)
            chosen = torch.rand(len(label), 1, generator=random, device=self.device) < self.params.mixing
            late = chosen & (torch.arange(levels, device=self.device) >= start)
            styles = torch.where(late[:, :, None], other[:, None], styles)
        return network(styles, self.phase.level, self.phase.blend, random)

    def from_latents(self, latents: Tensor, label: Tensor, random: torch.Generator) -> Tensor:
        """Synthesize (N, 1, S, S) from (N, D) codes; truncated styles are nearer to their class's mean."""
        styles = self.network.mapping(latents, label)
        if self.params.truncation < 1:
            styles = self.mean_style(label).lerp(styles, self.params.truncation)
        styles = styles[:, None].expand(-1, self.phase.level + 1, -1)
        return self.network(styles, self.phase.level, self.phase.blend, random)

    def mean_style(self, label: Tensor, codes: int = 1000) -> Tensor:
        """Return the (N, D) mean style of each image's class, over a fixed sample of codes."""
        random = torch.Generator(self.device).manual_seed(0)
        code = torch.randn(codes, self.params.style, generator=random, device=self.device)
        means = [
            self.network.mapping(code, torch.full((codes,), k, device=self.device)).mean(0)
            for k in range(len(self.classes))
        ]
        return torch.stack(means)[label]

    @property
    def latent_size(self) -> int:
        return int(self.params.style)

    def build(self) -> StyleNetwork:
        """Build the generator.

        Raises:
            GeneratorError: doubling does not reach the image size.
        """
        p = self.params
        network = StyleNetwork(*self.sizes(), p.style, p.mapping_layers, len(self.classes))
        return self.place(network, normalizes=True)


Generator = StyleGAN
