"""Drawing with lesion-preserving diffusion: new images, lesion-free twins, inserted and removed lesions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.errors import GeneratorError
from benchmark.generators import _network_training as training
from benchmark.generators._clip_tokenizer import clip_tokenizer
from benchmark.generators._diffusers_parts import scheduler
from benchmark.generators._lesion_conditions import Conditions, Encoder, at_size, check_request
from benchmark.generators._lesion_latent import OWN, LatentSpace
from benchmark.generators._lesion_network import read_text_encoder
from benchmark.generators._network_generator import NetworkGenerator
from benchmark.images.image_set import ImageSet
from benchmark.plugins.contexts import FitContext, SampleContext
from benchmark.plugins.generator import SampleRequest, Samples

UNSEEN = "prompts with words never seen in training"


class LesionSampling(NetworkGenerator):
    """The part of the generator that draws.

    Attributes:
        encoder: of the conditions.
        latent: the space in which the diffusion works; None in pixels.
        frozen_text: a pre-trained text encoder, or None.
        masked: positions of the classes whose training images all have a mask.
        seen: numbers of the tokens of the training sentences.
        healthy_text: sentence of a lesion-free image.
    """

    encoder: Encoder
    latent: LatentSpace | None = None
    frozen_text: Any = None
    masked: tuple[int, ...] = ()
    seen: tuple[int, ...] = ()
    healthy_text: str = ""

    def use_text(self, context: FitContext | SampleContext) -> None:
        """Make the encoder of conditions, and read a pre-trained text encoder where one is given."""
        p, folder = self.params, context.assets.get("text_encoder")
        tokenizer = None
        if "text" in p.conditions:
            tokenizer = clip_tokenizer(folder)
            self.frozen_text = None if folder is None else read_text_encoder(folder, self.device)
        self.encoder = Encoder(p.conditions, self.classes, p.mask_channels == "by_class", tokenizer, p.tokens)

    def training_conditions(self, train: ImageSet, index: np.ndarray) -> Callable[[np.ndarray], Conditions]:
        """Return the conditions of training images by position; record the tokens of their sentences."""
        masks = None if train.mask is None else np.ascontiguousarray(train.mask)
        tokens = None
        if "text" in self.params.conditions and train.prompt is not None:
            tokens = self.encoder.text([str(text) for text in train.prompt])
            self.seen = tuple(int(number) for number in tokens.unique())

        def of_images(rows: np.ndarray) -> Conditions:
            given = self.encoder(self._one_hot(index[rows]), None if masks is None else masks[rows], None)
            return replace(given, tokens=None if tokens is None else tokens[rows])

        return of_images

    @property
    def empty_text(self) -> Tensor:
        """(1, L) tokens of a text that is not given."""
        return self.encoder.text([""]).to(self.device) if self.encoder.tokenizer else torch.zeros(1, 1)

    @torch.no_grad()
    def sample(self, request: SampleRequest, context: SampleContext) -> Samples:
        """Draw images from the averaged weights; the same seed gives the same bytes.

        Raises:
            GeneratorError: a class, size or condition that was not fitted, a bad mask, or NaN.
        """
        given = self.requested(request)
        shares = {}
        if given.tokens is not None:
            known = torch.isin(given.tokens, torch.tensor(self.seen)).all(1)
            shares = {"shares": {UNSEEN: [int((~known).sum()), len(known)]}}
        image = self.draw_conditions(given, context)
        return Samples(image, mask=request.mask, card=shares)

    def requested(self, request: SampleRequest) -> Conditions:
        """Return the conditions of a request, after checking them."""
        index = self.class_index(request)
        check_request(request, index, self.params.conditions, self.masked, self.name)
        masks = None if request.mask is None else np.asarray(request.mask)
        return self.encoder(self._one_hot(index), masks, request.prompt)

    def lesion_free(self, given: Conditions) -> Conditions:
        """Return the conditions of lesion-free images: the first class, empty masks, its sentence."""
        findings, mask, tokens = given.findings, given.mask, given.tokens
        if findings is not None:
            findings = torch.zeros_like(findings)
            findings[:, 0] = 1
        if tokens is not None:
            tokens = self.encoder.text([self.healthy_text]).expand(len(tokens), -1)
        return Conditions(findings, None if mask is None else torch.zeros_like(mask), tokens)

    @torch.no_grad()
    def twins(self, request: SampleRequest, context: SampleContext) -> np.ndarray:
        """Draw the lesion-free twins of ``sample``: the same noise without the lesion; (N, S, S) uint8."""
        return self.draw_conditions(self.lesion_free(self.requested(request)), context)

    @torch.no_grad()
    def draw_findings(
        self,
        findings: np.ndarray,
        masks: np.ndarray | None,
        prompts: np.ndarray | None,
        context: SampleContext,
    ) -> np.ndarray:
        """Draw images of several findings at once; (N, S, S) uint8.

        Args:
            findings: (N, K) bool; masks: (N, K, S, S) uint8, one of each finding; prompts: (N,) str.
        """
        return self.draw_conditions(self.encoder(findings, masks, prompts), context)

    def draw_conditions(self, given: Conditions, context: SampleContext) -> np.ndarray:
        """Draw images of any conditions, several findings at once included; (N, S, S) uint8."""
        count = len(next(column for column in vars(given).values() if column is not None))
        side, channels = self.image_size, 1
        if self.latent is not None:
            side, channels = side // self.latent.params.factor, self.latent.params.latent_channels
        x = torch.randn((count, channels, side, side), generator=self._random(context), device=self.device)
        return self._pixels(self._denoise(x, given.to(self.device), context.sampler_steps))

    def _pixels(self, x: Tensor) -> np.ndarray:
        """Return (N, S, S) images of denoised pixels or latents, as ``to_pixels``."""
        return training.to_pixels(x if self.latent is None else self.latent.decode(x))

    @torch.no_grad()
    def inpaint(
        self, images: np.ndarray, region: np.ndarray, given: Conditions, context: SampleContext
    ) -> np.ndarray:
        """Draw the region of given images anew under conditions; every other pixel stays as it is.

        With the conditions of a lesion this inserts it into a normal image; with ``lesion_free`` ones it
        removes a lesion. Image and result are a counterfactual pair.

        Args:
            images: (N, S, S) uint8; region: (N, S, S) uint8, 255 where pixels are drawn.
        Raises:
            GeneratorError: shapes that differ from the fit's.
        """
        expected = (len(images), self.image_size, self.image_size)
        if images.shape != expected or region.shape != expected:
            problem = f"got images {images.shape} and regions {region.shape}, expected {expected}"
            raise GeneratorError(f"generator '{self.name}': inpaint", problem, "Resize both.")
        known = training.to_network(images, self.device)
        free = torch.from_numpy(region > 127).to(self.device)[:, None]
        if self.latent is not None:  # a latent that covers any pixel of the region is drawn
            known = self.latent.encode(known)
            free = at_size(free.float(), known.shape[-1]) > 0
        noise = torch.randn(known.shape, generator=self._random(context), device=self.device)
        drawn = self._denoise(noise, given.to(self.device), context.sampler_steps, (known, free, noise))
        return np.where(region > 127, self._pixels(drawn), images)

    def _random(self, context: SampleContext) -> torch.Generator:
        self.use_average()
        return torch.Generator(self.device).manual_seed(context.seed)

    def _denoise(
        self, x: Tensor, given: Conditions, steps: int | None,
        unchanged: tuple[Tensor, Tensor, Tensor] | None = None,
    ) -> Tensor:  # fmt: skip
        """Denoise by DDIM without noise (Song et al. 2020, equation 12, sigma 0).

        Args:
            unchanged: an image, where it is free, and noise: elsewhere it is noised to each time, as RePaint
                (Lugmayr et al. 2022, arXiv:2201.09865, equation 8) without resampling.
        """
        self.refuse_steps(steps, self.params.noise_steps)
        sampler = scheduler("DDIMScheduler", self.schedule() | {"timestep_spacing": "trailing"})
        sampler.set_timesteps(steps or self.params.denoising_steps)
        times = sampler.timesteps
        for i, time in enumerate(times):
            x = sampler.step(self._guided(x, time.to(self.device), given), time, x).prev_sample
            if unchanged is not None:
                known, free, noise = unchanged
                then = known if i + 1 == len(times) else sampler.add_noise(known, noise, times[i + 1 : i + 2])
                x = torch.where(free, x, then)
        return x

    def _guided(self, x: Tensor, time: Tensor, given: Conditions) -> Tensor:
        """Return the prediction with classifier-free guidance (Ho and Salimans 2022)."""
        conditional = self.predict(self.network, x, time, given)
        if self.params.guidance == 1:
            return conditional
        drop = torch.ones(len(x), dtype=torch.bool, device=self.device)
        free = self.predict(self.network, x, time, given.without(drop, self.empty_text))
        return free + self.params.guidance * (conditional - free)

    def predict(self, network: nn.Module, noised: Tensor, time: Tensor, given: Conditions) -> Tensor:
        """Return what a network predicts, in float32."""
        encoded = None
        with self.autocast():
            if self.frozen_text is not None and given.tokens is not None:
                encoded = self.frozen_text(given.tokens).last_hidden_state
            predicted: Tensor = network(noised, time, given, encoded)
        return predicted.float()

    def clean_image(self, predicted: Tensor, noised: Tensor, share: Tensor) -> Tensor:
        """Return the clean image in [-1, 1], or latent, that a prediction implies (Ho et al. 2020, eq. 15).

        Args:
            share: (N,) alpha bar of the times.
        """
        signal, noise = (part.sqrt()[:, None, None, None] for part in (share, 1 - share))
        image = {
            "epsilon": lambda: (noised - noise * predicted) / signal.clamp(min=1e-4),
            "sample": lambda: predicted,
            "v_prediction": lambda: signal * noised - noise * predicted,
        }[self.params.prediction]()
        return image.clamp(-1, 1) if self.latent is None else image

    def loss_weight(self, noising: Any, time: Tensor) -> Tensor:
        """Return (N,) weights of arXiv:2303.09556, section 3.4; ones without snr_gamma."""
        if self.params.snr_gamma is None:
            return torch.ones(len(time), device=time.device)
        from diffusers.training_utils import compute_snr

        ratio = compute_snr(noising, time)
        capped = ratio.clamp(max=self.params.snr_gamma)
        return {"epsilon": capped / ratio, "sample": capped}.get(self.params.prediction, capped / (ratio + 1))

    def schedule(self) -> dict[str, Any]:
        """Return the noise schedule and the prediction, as parameters of a scheduler of diffusers."""
        p = self.params
        return {
            "num_train_timesteps": p.noise_steps,
            "beta_schedule": p.noise_schedule,
            "prediction_type": p.prediction,
        }

    def _one_hot(self, index: np.ndarray) -> np.ndarray:
        """Return (N, K) bool."""
        return np.eye(len(self.classes), dtype=bool)[index]

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the weights by name, with those of an autoencoder that was trained here."""
        own = self.latent.arrays() if self.latent is not None and "autoencoder" not in self.base else {}
        return {**super().arrays(), **own}

    def settings(self) -> dict[str, Any]:
        """Return what sampling needs beside the weights."""
        own = {"masked": list(self.masked), "seen": list(self.seen), "healthy_text": self.healthy_text}
        return {**super().settings(), **own}

    def restore(
        self, arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any], context: SampleContext
    ) -> None:
        """Make the encoder of conditions, and build the network with stored weights."""
        self.device = context.device
        self.masked, self.seen = tuple(settings["masked"]), tuple(settings["seen"])
        self.healthy_text = settings["healthy_text"]
        self.use_text(context)
        if self.params.latent is not None:
            folder = context.assets.get("autoencoder")
            own = None if folder else {k: v for k, v in arrays.items() if k.startswith(OWN)}
            self.latent = LatentSpace.read(folder, self.params.latent, own)
            training.place(self.latent, self.device)
            arrays = {k: v for k, v in arrays.items() if not k.startswith(OWN)}
        super().restore(arrays, settings, context)
