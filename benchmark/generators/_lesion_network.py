"""The network of lesion-preserving diffusion: a U-Net with findings, masks and text, and a text encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.errors import GeneratorError
from benchmark.generators._lesion_conditions import Conditions, at_size


class LesionNetwork(nn.Module):
    """Predict noise, image or velocity of noised images under ``Conditions``.

    The findings are a vector of ones and zeros, whose projection is added to the embedding of the time in
    every residual block; the mask is concatenated to the image; the U-Net attends to the text, or without
    text to one learned token. The levels of lower resolution also attend to themselves.
    Source: Papadopoulos and Georgiou 2024, Conditioning mechanism and Reverse denoising network.

    Args:
        params: of the generator.
        side, channels: of the images that are noised.
        classes: number of fitted classes.
        mask_channels: number of channels of the masks, 0 without.
        text: the text encoder to train with the network, or None.
        width: of the text encoder's output.
    """

    def __init__(
        self, params: Any, *, side: int, channels: int, classes: int, mask_channels: int,
        text: nn.Module | None, width: int,
    ) -> None:  # fmt: skip
        super().__init__()
        from diffusers import UNet2DConditionModel

        p, levels = params, len(params.channels)
        attend = [p.attention and level >= levels - p.attention for level in range(levels)]
        labeled = "label" in p.conditions
        self.unshuffle, self.labeled, self.text = p.unshuffle, labeled, text
        self.no_text = nn.Parameter(torch.zeros(1, 1, width)) if "text" not in p.conditions else None
        self.unet: Any = UNet2DConditionModel(
            sample_size=side // p.unshuffle,
            in_channels=(channels + mask_channels) * p.unshuffle**2,
            out_channels=channels * p.unshuffle**2,
            layers_per_block=p.layers,
            block_out_channels=p.channels,
            down_block_types=tuple("CrossAttnDownBlock2D" if a else "DownBlock2D" for a in attend),
            up_block_types=tuple("CrossAttnUpBlock2D" if a else "UpBlock2D" for a in reversed(attend)),
            norm_num_groups=p.groups,
            cross_attention_dim=width,
            attention_head_dim=p.heads,
            class_embed_type="simple_projection" if labeled else None,
            projection_class_embeddings_input_dim=classes if labeled else None,
            resnet_time_scale_shift=p.modulation,
        )

    def forward(self, noised: Tensor, time: Tensor, given: Conditions, encoded: Tensor | None) -> Tensor:
        """Return the prediction, (N, C, s, s) as ``noised``.

        Args:
            encoded: (N, L, D) output of a text encoder that is not trained here; None for the own one.
        """
        parts = [noised] if given.mask is None else [noised, at_size(given.mask, noised.shape[-1])]
        folded = F.pixel_unshuffle(torch.cat(parts, 1), self.unshuffle)
        if self.no_text is not None:
            encoded = self.no_text.expand(len(noised), -1, -1)
        elif encoded is None and self.text is not None:
            encoded = self.text(given.tokens).last_hidden_state
        findings = given.findings if self.labeled else None
        predicted = self.unet(folded, time, encoded, class_labels=findings).sample
        return F.pixel_shuffle(predicted, self.unshuffle)


def new_text_encoder(tokenizer: Any, length: int, width: int, layers: int, heads: int) -> nn.Module:
    """Return a small text encoder with the architecture of CLIP's and random weights."""
    from transformers import CLIPTextConfig, CLIPTextModel

    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        max_position_embeddings=length,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return CLIPTextModel(config)


def read_text_encoder(folder: Path, device: str) -> nn.Module:
    """Read a frozen text encoder that ``transformers`` wrote.

    Raises:
        GeneratorError: the folder has no text encoder of CLIP as safetensors.
    """
    from transformers import CLIPTextModel

    try:
        encoder: Any = CLIPTextModel.from_pretrained(folder, local_files_only=True, use_safetensors=True)
    except (OSError, ValueError) as error:
        first = str(error).splitlines()[0]
        remedy = "Give a folder with config.json and model.safetensors of a CLIPTextModel."
        raise GeneratorError(str(folder), f"has no text encoder: {first}", remedy) from error
    frozen: nn.Module = encoder.eval().requires_grad_(False).to(device)
    return frozen
