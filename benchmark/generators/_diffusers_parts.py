"""The optimizer and the saved folder of the generators that use diffusers' U-Net."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

UNET = "unet/diffusion_pytorch_model.safetensors"  # path in a pipeline folder


def scheduler(kind: str, settings: Mapping[str, Any]) -> Any:
    """Return a scheduler of diffusers, which is imported here since that takes seconds."""
    import diffusers

    return getattr(diffusers, kind)(**settings)


def make_optimizer(network: nn.Module, params: Any) -> tuple[torch.optim.Optimizer, Any]:
    """Return AdamW, and its learning rate: a linear warm-up, then half a cosine to zero, or no change."""
    from diffusers.optimization import get_scheduler

    optimizer = torch.optim.AdamW(
        network.parameters(),
        lr=params.learning_rate,
        betas=(params.beta1, params.beta2),
        weight_decay=params.weight_decay,
        fused=True,
    )
    kind = "cosine" if params.rate_schedule == "cosine" else "constant_with_warmup"
    return optimizer, get_scheduler(
        kind, optimizer, num_warmup_steps=params.warmup, num_training_steps=params.steps
    )


def save_pipeline(folder: Path, network: Any, scheduler: Any) -> None:
    """Write the configurations that make the folder of saved weights one of diffusers' ``DDPMPipeline``."""
    network.save_config(folder / "unet")
    scheduler.save_config(folder / "scheduler")
    parts = {"unet": network, "scheduler": scheduler}
    index = {name: ["diffusers", type(part).__name__] for name, part in parts.items()}
    text = json.dumps({"_class_name": "DDPMPipeline", **index}, indent=1)
    (folder / "model_index.json").write_text(text, encoding="utf-8")
