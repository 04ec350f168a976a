"""The training loop of every GAN: critic and generator in turns, stage by stage, with WGAN-GP.

A generator of this kind says what its networks are, which stage a step belongs to, and how images are
synthesized and scored. The loop does the rest: batches, both losses, augmentation, averages, curves, early
stops, and states from which a killed fit continues bit for bit.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.errors import GeneratorError
from benchmark.generators import _network_training as training
from benchmark.generators._diff_augment import diff_augment
from benchmark.generators._gan_failures import PATIENCE, Failures
from benchmark.generators._network_generator import NetworkGenerator
from benchmark.images.image_set import ImageSet
from benchmark.plugins.contexts import FitContext

Score = Callable[[Tensor], Tensor]
Module = TypeVar("Module", bound=nn.Module)


class Setting(NamedTuple):
    """Stage, batch and learning rates of a step.

    Attributes:
        stage: every stage begins with new optimizers and, with one, a new average of the weights.
        since: steps since the stage began.
        batch_size: real and synthetic images of one update.
        rate, critic_rate: learning rates.
    """

    stage: int
    since: int
    batch_size: int
    rate: float
    critic_rate: float


class GanGenerator(NetworkGenerator):
    """A generator that is trained against a critic.

    Its ``params`` have ``beta1``, ``beta2``, ``penalty``, ``drift``, ``augmentation``, ``balance`` and
    ``average``.

    Attributes:
        live: the generator under training; ``network`` is its average, or itself without one.
        critic: scores images, higher for real ones.
        critic_updates, generator_updates: updates of one step.
        penalty_per_pixel: the gradient whose norm is penalized is that of each pixel, not of each image.
        patience: checks in a row that find images all alike, after which a fit ends.
    """

    fewest_images: ClassVar[int] = 2
    patience: ClassVar[int] = PATIENCE
    penalty_per_pixel: ClassVar[bool] = False
    critic_updates: int = 1
    generator_updates: int = 1

    live: nn.Module
    critic: nn.Module

    def place(self, network: Module, *, normalizes: bool = False) -> Module:
        """Move a network to the device, in the memory format that is fast there.

        Args:
            normalizes: layers normalize positions or maps, which a CPU does faster without channels last.
        """
        network = network.to(self.device)
        if normalizes and self.device == "cpu":
            return network
        return network.to(memory_format=torch.channels_last)

    def build_critic(self) -> nn.Module:
        """Build the critic with random weights, on the device."""
        raise NotImplementedError

    def move_to(self, step: int) -> Setting:
        """Go to the phase of a step, and return what holds there."""
        raise NotImplementedError

    def begin(self, stage: int, images: Tensor) -> None:
        """Prepare the networks for a new stage, given the (1, 1, S, S) first training image."""

    def trained(self, stage: int) -> tuple[nn.Module, nn.Module]:
        """Return the parts of generator and critic that a stage trains."""
        return self.live, self.critic

    def prepare(self, images: Tensor) -> Tensor:
        """Return real (N, 1, S, S) images as the critic reads them in this phase."""
        raise NotImplementedError

    def synthesize(self, network: Any, label: Tensor, random: torch.Generator) -> Tensor:
        """Synthesize (N, 1, S, S) images of (N,) classes in this phase, for training."""
        raise NotImplementedError

    def score(self, images: Tensor, label: Tensor) -> Tensor:
        """Return the critic's scores of images, of any shape."""
        raise NotImplementedError

    def further_loss(self, real: Tensor) -> Tensor | None:
        """Return a further loss of the generator, if it has one."""
        return None

    def compared(self, setting: Setting, real: Tensor, synthetic: Tensor) -> tuple[Tensor, Tensor]:
        """Return the real and synthetic images whose variety is compared, given those of a logged step."""
        return real, synthetic

    def fit(self, train: ImageSet, context: FitContext) -> None:
        """Train on the images.

        Raises:
            GeneratorError: unusable images or precision, an image size that the networks cannot have, a loss
                that is not finite, or a collapse before the first preview.
        """
        batches = self.start(train, context)
        self._refuse(batches.images)
        with training.seeded_weights(context.seed):
            self.live, self.critic = self.build(), self.build_critic()
        self.start_average(self.live)
        parts: dict[str, Any] = {"live": self.live, "critic": self.critic, **self.averages()}
        saver, failures = training.StateSaver(context), Failures(self.patience)
        parts["failures"] = failures
        state, setting = context.load_state() or {"step": 0}, None
        if state["step"]:
            setting = self.move_to(state["step"] - 1)
            parts |= self._optimizers(setting)
            training.restore(parts, state)
        for step in range(state["step"], self.steps):
            before, setting = setting, self.move_to(step)
            if before is None or before.stage != setting.stage:
                self.begin(setting.stage, batches.first())
                parts |= self._optimizers(setting)
            for optimizer, rate in (("adam", setting.rate), ("critic_adam", setting.critic_rate)):
                for group in parts[optimizer].param_groups:
                    group["lr"] = rate
            images, label = batches(step, setting.batch_size)
            random = training.step_generator(context.seed, step, self.device)
            is_logged = self.is_logged(step + 1)
            curves, pair = self._update(parts, self.prepare(images), label, random, norms=is_logged)
            self.update_average(self.live, since=setting.since)
            if is_logged:
                scalars = {name: float(value) for name, value in curves.items()}
                failure = failures.check(step + 1, scalars, *self.compared(setting, *pair))
                if failure:
                    context.stop(step + 1, failure)
                    return
                context.log(step + 1, stage=float(setting.stage), **scalars)
            # earlier previews would be smaller images, enlarged
            context.checkpoint(step + 1, self.steps, first=self.previews_from)
            if context.should_stop:
                return
            saver.save_if_due(step + 1, parts)

    @property
    def previews_from(self) -> int:
        """Step until which no preview is drawn."""
        return 0

    def _refuse(self, images: np.ndarray) -> None:
        where = f"generator '{self.name}'"
        if len(images) < self.fewest_images:
            problem = f"got {len(images)} training image, expected at least {self.fewest_images}"
            raise GeneratorError(where, problem, "Use singan, which learns from one image, or fit jointly.")
        if not np.ptp(images.reshape(len(images), -1), axis=1).any():
            raise GeneratorError(
                where, "got constant training images, which have no content", "Check the data source."
            )
        if self.precision == "float16":
            raise GeneratorError(
                f"{where}: precision",
                "is float16, in which the gradient penalty overflows",
                "Use bfloat16 or float32.",
            )

    def _optimizers(self, setting: Setting) -> dict[str, torch.optim.Optimizer]:
        p, (generator, critic) = self.params, self.trained(setting.stage)
        return {
            name: torch.optim.Adam(network.parameters(), betas=(p.beta1, p.beta2), fused=True)
            for name, network in (("adam", generator), ("critic_adam", critic))
        }

    def _update(
        self, parts: Mapping[str, Any], real: Tensor, label: Tensor, random: torch.Generator, *, norms: bool
    ) -> tuple[dict[str, Tensor], tuple[Tensor, Tensor]]:
        """Update critic and generator; return curves, and the real and synthetic images.

        The first update of the generator is on the synthetic images of the critic's last one.
        """
        p, curves = self.params, dict[str, Tensor]()
        for _ in range(self.critic_updates):
            with self.autocast():
                synthetic = self.synthesize(self.live, label, random)
                # random augmentations keep the critic from memorizing a small training set
                shown = diff_augment(real, p.augmentation, random)
                fake = diff_augment(synthetic, p.augmentation, random)
                loss, curves = self._critic_loss(shown, fake.detach(), label, random)
            norm = descend(parts["critic_adam"], loss, norm=norms)
        curves |= {"critic_gradient": norm} if norms else {}
        for turn in range(self.generator_updates):
            with self.autocast():
                if turn:
                    fake = diff_augment(self.synthesize(self.live, label, random), p.augmentation, random)
                self.critic.requires_grad_(False)
                loss = -self.score(fake, label).mean()
                self.critic.requires_grad_(True)
                further = self.further_loss(real)
            if further is not None:
                curves["reconstruction"] = further.detach()
                loss = loss + further
            norm = descend(parts["adam"], loss, norm=norms)
        curves |= {"generator_loss": loss.detach()} | ({"generator_gradient": norm} if norms else {})
        return curves, (real, synthetic.detach())

    def _critic_loss(
        self, real: Tensor, fake: Tensor, label: Tensor, random: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of the critic: real scores up, synthetic ones down, neither far from zero."""
        p = self.params
        real_score, fake_score = self.score(real, label), self.score(fake, label)
        distance = real_score.mean() - fake_score.mean()
        share = torch.rand(len(real), 1, 1, 1, generator=random, device=real.device)
        penalty = gradient_penalty(
            lambda x: self.score(x, label), fake.lerp(real, share), per_pixel=self.penalty_per_pixel
        )
        loss = p.penalty * penalty - distance
        if p.drift:
            loss = loss + p.drift * real_score.square().mean()
        curves = {"critic_loss": loss, "distance": distance, "penalty": penalty}
        return loss, {name: value.detach() for name, value in curves.items()}


def gradient_penalty(score: Score, between: Tensor, *, per_pixel: bool = False) -> Tensor:
    """Return the mean squared deviation from one of the norm of the critic's gradient.

    Args:
        between: (N, C, S, S) images on lines between synthetic and real ones.
        per_pixel: take the norm over the C colors of each pixel instead of over each image.
    Source: Gulrajani et al. 2017, arXiv:1704.00028, equation 3.
    """
    between = between.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(score(between).float().sum(), between, create_graph=True)
    norm = gradient.norm(dim=1) if per_pixel else gradient.flatten(1).norm(dim=1)
    return (norm - 1).square().mean()


def descend(optimizer: torch.optim.Optimizer, loss: Tensor, *, norm: bool) -> Tensor:
    """Take a step; return the norm of the gradient if requested, else zero."""
    optimizer.zero_grad()
    loss.backward()
    total = gradient_norm(optimizer) if norm else loss.new_zeros(())
    optimizer.step()
    return total


def gradient_norm(optimizer: torch.optim.Optimizer) -> Tensor:
    """Return the norm of the gradient of all parameters that have one."""
    parameters: Iterable[nn.Parameter] = (p for group in optimizer.param_groups for p in group["params"])
    return torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
