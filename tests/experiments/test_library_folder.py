"""A folder of diffusers or peft that leaves the suite is loaded by the library alone."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from diffusers import DDPMPipeline, DDPMScheduler, DiffusionPipeline, UNet2DModel

from benchmark.errors import GeneratorError
from benchmark.experiments.library_folder import write_library_folder
from support.fitted_rows import fitted_row

ABOUT = {
    "title": "Tiny", "license": "MIT", "task": "t", "profile": "demo", "source": "phantom.chest",
    "data_kind": "phantom", "formats": ("diffusers", "peft"),
}  # fmt: skip


def saved_folder(row):
    """Return the folder that the generator's ``save`` wrote."""
    return row.fits["a"].folders[0] / "fitted"


def test_a_pipeline_is_loaded_by_diffusers_alone(tmp_path):
    """The code on the page loads it, and the same seed gives the same image."""
    row = fitted_row(tmp_path)
    torch.manual_seed(0)
    network = UNet2DModel(
        sample_size=8, in_channels=1, out_channels=1, block_out_channels=(8,), layers_per_block=1,
        down_block_types=("DownBlock2D",), up_block_types=("UpBlock2D",), norm_num_groups=4,
    )  # fmt: skip
    pipeline = DDPMPipeline(network, DDPMScheduler(num_train_timesteps=10))
    pipeline.save_pretrained(saved_folder(row))
    write_library_folder(row, "diffusers", tmp_path / "out", ABOUT, None)
    code = re.search(r"```python\n(.*?)```", (tmp_path / "out" / "README.md").read_text(), re.DOTALL)
    names = {"DiffusionPipeline": DiffusionPipeline}
    exec(code[1].replace("FOLDER", str(tmp_path / "out")), names)
    images = [
        each(generator=torch.Generator().manual_seed(1), num_inference_steps=2, output_type="np").images
        for each in (pipeline, names["pipeline"])
    ]
    np.testing.assert_allclose(*images, atol=1e-6)  # sums depend on where weights lie in memory


def test_an_adapter_is_loaded_by_peft_alone(tmp_path):
    """The adapter of a network doubles its output here: B times A is the weight itself."""
    peft = pytest.importorskip("peft")
    row, base = fitted_row(tmp_path), torch.nn.Sequential(torch.nn.Linear(2, 2, bias=False))
    adapted = peft.get_peft_model(base, peft.LoraConfig(r=2, lora_alpha=2, target_modules=["0"]))
    layer = adapted.base_model.model[0]
    weight = layer.weight.detach().clone()
    layer.lora_A["default"].weight.data = torch.eye(2)
    layer.lora_B["default"].weight.data = weight.clone()
    adapted.save_pretrained(saved_folder(row) / "unet")
    write_library_folder(row, "peft", tmp_path / "out", ABOUT, None)
    page = (tmp_path / "out" / "README.md").read_text()
    assert 'pipeline.unet = PeftModel.from_pretrained(pipeline.unet, "FOLDER/unet")' in page
    fresh = torch.nn.Sequential(torch.nn.Linear(2, 2, bias=False))
    fresh[0].weight.data = weight.clone()
    loaded = peft.PeftModel.from_pretrained(fresh, tmp_path / "out" / "unet")
    torch.testing.assert_close(loaded(torch.eye(2)), 2 * weight.T)


def test_a_format_that_the_folder_has_not_is_an_error(tmp_path):
    """One that the generator does not declare, and one that it declares wrongly; nothing is written."""
    row = fitted_row(tmp_path)
    for formats, message in (((), "is not saved in the format"), (("peft",), "has no adapter_config.json")):
        with pytest.raises(GeneratorError, match=message):
            write_library_folder(row, "peft", tmp_path / "out", ABOUT | {"formats": formats}, None)
    assert not (tmp_path / "out").exists()
