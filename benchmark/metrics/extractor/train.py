"""Train the embedded extractor by supervised heads and instance discrimination.

The heads (finding, its coverage of a 4 x 4 grid, view, sex) make the features represent anatomy and
pathology, for FID and KID. Instance discrimination (two augmentations of one image lie close, other patients
far) makes near-copies close, for the memorization gate. The heads are discarded.

A callable draws the images: ``python -m benchmark extractor --out FOLDER`` passes the phantoms.
"""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.metrics.extractor import views
from benchmark.metrics.extractor.network import DIM, SIDE, Extractor
from benchmark.utils.files import write_text
from benchmark.utils.hashing import sha256_file
from benchmark.utils.training_state import autocast

GRID = 4


class Example(NamedTuple):
    """One training image; ``image`` and ``mask`` are uint8 (S, S), any size S."""

    image: np.ndarray
    finding: int
    view: int
    sex: int
    mask: np.ndarray


@dataclass(frozen=True)
class ExtractorConfig:
    """Everything that determines the weights except the images; sizes fit ten minutes of one core."""

    pool: int = 8000  # training images: indices 0 to pool - 1
    held_out: int = 1000  # the indices after them: evaluation
    steps: int = 1200
    batch: int = 96
    lr: float = 2e-3
    weight_decay: float = 0.05
    temperature: float = 0.1  # of instance discrimination
    instance_weight: float = 0.3
    finding_weight: float = 2.0
    view_weight: float = 0.5
    sex_weight: float = 0.5
    coverage_weight: float = 4.0
    precision: str = "bfloat16"
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Pool:
    """Images at the network's size with their targets."""

    image: Tensor  # (N, 64, 64) float, 0 to 255
    target: Tensor  # (N, 3) int64: finding, view, sex
    coverage: Tensor  # (N, GRID * GRID) float, 0 to 1

    def __len__(self) -> int:
        return len(self.image)


class Heads(nn.Module):
    """Linear heads on the features, used in training alone."""

    def __init__(self, findings: int) -> None:
        super().__init__()
        self.finding = nn.Linear(DIM, findings)
        self.view = nn.Linear(DIM, 2)
        self.sex = nn.Linear(DIM, 2)
        self.coverage = nn.Linear(DIM, GRID * GRID)


def train(
    draw: Callable[[int], Example],
    out: Path,
    *,
    name: str = "phantom_cxr_v1",
    config: ExtractorConfig | None = None,
    source: str = "",
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Train on ``draw(0)`` to ``draw(pool - 1)``, and write weights and card.

    Args:
        draw: image and targets of an index, always the same for an index.
        out: folder for ``<name>.safetensors`` and ``<name>.json``.
        source: name and version of the phantom, for the card.
        progress: called with the step and the number of steps.
    Returns:
        The card: configuration, source, figures on the held-out images, seconds of CPU, sha256.
    """
    config = config or ExtractorConfig()
    started = time.process_time()
    pool = collect(draw, range(config.pool))
    torch.manual_seed(config.seed)
    net = fit(pool, config, progress)
    figures = evaluate(net, pool, collect(draw, range(config.pool, config.pool + config.held_out)))
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{name}.safetensors"
    save_file({k: v.contiguous() for k, v in net.state_dict().items()}, path)
    card = {
        "name": name,
        "source": source,
        "config": asdict(config),
        "figures": figures,
        "cpu_seconds": round(time.process_time() - started),
        **_description(net, path),
    }
    write_text(path.with_suffix(".json"), json.dumps(card, indent=2) + "\n")
    return card


def _description(net: Extractor, path: Path) -> dict[str, Any]:
    return {
        "command": "python -m benchmark extractor --out FOLDER",
        "parameters": sum(p.numel() for p in net.parameters()),
        "features": DIM,
        "input": f"gray, resized to {SIDE} x {SIDE} (bilinear, antialiased)",
        "torch": torch.__version__,
        "license": "Apache-2.0",
        "sha256": sha256_file(path),
    }


def collect(draw: Callable[[int], Example], indices: range) -> Pool:
    """Draw images and resize them to the network's size."""
    images, targets, masks = [], [], []
    for index in indices:
        example = draw(index)
        images.append(views.resize(torch.from_numpy(example.image)[None].float(), SIDE)[0])
        masks.append(
            F.adaptive_avg_pool2d(torch.from_numpy(example.mask)[None].float() / 255, GRID).flatten()
        )
        targets.append((example.finding, example.view, example.sex))
    return Pool(torch.stack(images), torch.tensor(targets), torch.stack(masks))


def fit(pool: Pool, config: ExtractorConfig, progress: Callable[[int, int], None] | None = None) -> Extractor:
    """Train the network; its randomness is torch's global generator, seeded by the caller."""
    net = Extractor().to(memory_format=torch.channels_last)
    heads = Heads(int(pool.target[:, 0].max()) + 1)
    parameters = [*net.parameters(), *heads.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=config.lr, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, config.lr, total_steps=config.steps, pct_start=0.1, cycle_momentum=False
    )
    for step in range(config.steps):
        rows = torch.randperm(len(pool))[: config.batch]
        pair = torch.cat([views.augment(pool.image[rows]) for _ in range(2)])
        with autocast("cpu", config.precision):
            features = net(views.normalize(pair).contiguous(memory_format=torch.channels_last)).float()
        loss = config.instance_weight * instance_loss(features, config.temperature)
        loss = loss + head_loss(heads, features, pool, rows.repeat(2), config)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if progress:
            progress(step + 1, config.steps)
    return rescale(net.eval().to(memory_format=torch.contiguous_format), pool)


def instance_loss(features: Tensor, temperature: float) -> Tensor:
    """Return NT-Xent (Chen et al. 2020, arXiv:2002.05709, eq. 1): row i pairs with row i + B of (2B, D)."""
    from monai.losses import ContrastiveLoss

    first, second = features.chunk(2)
    return ContrastiveLoss(temperature)(first, second)


def head_loss(heads: Heads, features: Tensor, pool: Pool, rows: Tensor, config: ExtractorConfig) -> Tensor:
    """Return the cross-entropy of finding, view and sex, and the binary cross-entropy of coverage."""
    finding, view, sex = pool.target[rows].T
    return (
        config.finding_weight * F.cross_entropy(heads.finding(features), finding)
        + config.view_weight * F.cross_entropy(heads.view(features), view)
        + config.sex_weight * F.cross_entropy(heads.sex(features), sex)
        + config.coverage_weight
        * F.binary_cross_entropy_with_logits(heads.coverage(features), pool.coverage[rows])
    )


@torch.inference_mode()
def embed(net: Extractor, images: Tensor) -> Tensor:
    """Return features of (N, 64, 64) images in 0 to 255."""
    return torch.cat([net(views.normalize(chunk)) for chunk in images.split(256)])


@torch.no_grad()
def rescale(net: Extractor, pool: Pool) -> Extractor:
    """Scale the features to a mean square of 1, where the cubic kernel of KID weighs all orders."""
    scale = embed(net, pool.image[:1000]).square().mean().sqrt()
    net.mix.weight.div_(scale)
    net.mix.bias.div_(scale)
    return net


def evaluate(net: Extractor, pool: Pool, held_out: Pool) -> dict[str, float]:
    """Evaluate linear models on the features of held-out images, and retrieval of an image by its near-copy.

    Returns:
        ``finding_balanced_accuracy``, ``view_accuracy``, ``sex_accuracy`` (logistic regression),
        ``coverage_r2`` (ridge), ``copy_top1`` (share of near-copies whose nearest held-out image is their
        original).
    """
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.metrics import balanced_accuracy_score, r2_score

    a, b = embed(net, pool.image).numpy(), embed(net, held_out.image).numpy()
    figures = {}
    for column, key in enumerate(("finding_balanced_accuracy", "view_accuracy", "sex_accuracy")):
        model = LogisticRegression(max_iter=2000).fit(a, pool.target[:, column])
        figures[key] = balanced_accuracy_score(held_out.target[:, column], model.predict(b))
    area = pool.coverage.mean(1).numpy(), held_out.coverage.mean(1).numpy()
    figures["coverage_r2"] = r2_score(area[1], Ridge().fit(a, area[0]).predict(b))
    copies = embed(net, views.near_copy(held_out.image, torch.Generator().manual_seed(1)))
    unit = F.normalize(torch.from_numpy(b), dim=1)
    nearest = (F.normalize(copies, dim=1) @ unit.T).argmax(1)
    figures["copy_top1"] = (nearest == torch.arange(len(nearest))).float().mean().item()
    return {key: round(float(value), 4) for key, value in figures.items()}
