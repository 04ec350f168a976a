"""The generators of the ``paper`` profiles have the settings that the papers print."""

from importlib import import_module
from typing import Any

import pytest

from benchmark.tasks.loading import load_task, task_names
from benchmark.tasks.profile import GeneratorEntry, Previews

# Lan 2023, Tables 4 and 5: real training images, and test images
TRAIN = {"negative": 160_657, "positive": 18_074}
TEST = {"negative": 40_164, "positive": 4_519}


def entry_of(task: str, row: str) -> GeneratorEntry:
    """Return the entry of a row in the paper profile."""
    return load_task(task).profile("paper").generators[row]


def settings_of(task: str, row: str) -> dict[str, Any]:
    """Return the parameters of an installed generator, defaults included."""
    entry = entry_of(task, row)
    module = import_module(f"benchmark.generators.{entry.plugin or row}")
    return dict(module.Params(**entry.params).model_dump())


@pytest.mark.parametrize("name", task_names())
def test_intervals_cover_refits_beyond_the_demo(name):
    """``demo`` fits every generator once, ``lite`` and ``paper`` twice."""
    fits = {profile: len(load_task(name).profile(profile).fit_seeds) for profile in ("demo", "lite", "paper")}
    assert fits == {"demo": 1, "lite": 2, "paper": 2}


def test_unconditional_model_has_schaudts_table_3():
    """Batch, rate, warm-up, steps, momenta, decay, clipping, no EMA, 250 denoising steps; float32, 256 px."""
    expected = {
        "batch_size": 8, "learning_rate": 1e-4, "warmup": 500, "steps": 13_750, "beta1": 0.95, "beta2": 0.999,
        "weight_decay": 1e-6, "max_gradient_norm": 1.0, "average": 0.0, "denoising_steps": 250,
    }  # fmt: skip
    assert expected.items() <= settings_of("cxr_pneumonia", "ddpm").items()
    entry = entry_of("cxr_pneumonia", "ddpm")
    assert (entry.fit, entry.image_size, entry.precision) == ("per_class", 256, "float32")


def test_gan_has_schaudts_table_3():
    """Ranges of batch and rate, steps, momenta, WGAN-GP, no EMA; float32, 256 px."""
    settings = settings_of("cxr_pneumonia", "stylegan")
    expected = {"steps": 37_500, "beta1": 0.0, "beta2": 0.99, "average": 0.0, "penalty": 10.0}
    assert expected.items() <= settings.items()
    assert (sorted(settings["batch_size"]), sorted(settings["learning_rate"])) == ([16, 32], [5e-4, 1e-3])
    entry = entry_of("cxr_pneumonia", "stylegan")
    assert (entry.fit, entry.image_size, entry.precision) == ("per_class", 256, "float32")


@pytest.mark.parametrize(
    ("row", "steps", "previews"),
    [
        ("stylegan", 37_500 // 6, 12),  # previews at full size: a sixth of the steps
        ("ddpm", 13_750, 27),
        ("finetuning", 15_000, 30),
        ("lora", 15_000, 30),
        ("dreambooth", 1500, 3),
    ],
)
def test_checkpoints_are_chosen_as_schaudts(row, steps, previews):
    """FID of 50 images of a class (section 4.1), every 500 steps, which divide Figure 3's 500, 2000, 7500."""
    entry = entry_of("cxr_pneumonia", row)
    assert entry.previews == Previews(count=previews, images=50, choice="per_class")
    assert steps / previews == pytest.approx(500, abs=25)


def test_diffusion_of_lan_trains_forty_epochs():
    """40 epochs of the 18,074 positive images in batches of 16 are 45,185 steps; 4000 diffusion steps."""
    settings = settings_of("chexpert_imbalance", "ddpm")
    assert settings["steps"] == 40 * TRAIN["positive"] / settings["batch_size"] == 45_185
    assert settings["noise_steps"] == settings["denoising_steps"] == 4000
    assert settings["channels"] == (128, 128, 256, 256, 512, 512)
    assert (settings["layers"], settings["noise_schedule"]) == (2, "linear")


@pytest.mark.parametrize("profile", ["lite", "paper"])
def test_augmentation_of_lan_has_the_final_five_operations(profile):
    """Section 5.4 retains five of the eight operations, each with probability 0.5 (section 4.5)."""
    from benchmark.generators.lan_augmentation import Params

    params = Params(**load_task("chexpert_imbalance").profile(profile).generators["lan_augmentation"].params)
    assert set(params.operations) == {"rotation", "shearing", "flipping", "noise", "blurring"}
    assert params.probability == 0.5


def test_results_of_lan_are_those_of_a_fifth_of_the_training_images():
    """Accuracy 0.3579 and F1 0.2093 (Table 12) mean 3797 true positives of 4519; Table 2 has 10 positives.

    With E wrong images, F1 = 2 TP / (2 TP + E), so TP = E F1 / 2 (1 - F1).
    """

    def true_positives(images: int) -> float:
        return images * (1 - 0.3579) * 0.2093 / (2 * (1 - 0.2093))

    fifth = sum(TEST.values())
    assert fifth / (fifth + sum(TRAIN.values())) == pytest.approx(0.2, abs=1e-4)
    assert round(true_positives(fifth)) == 3797 < TEST["positive"]
    assert round(true_positives(658 + 10)) == 57 > 10
    paper = load_task("chexpert_imbalance").profile("paper")
    assert paper.data["chexpert"] == {"test": "from_train", "test_share": 0.2}


def test_mixing_factors_of_lan_give_table_4():
    """11 images per positive image are 198,814, one for every third negative one 53,552."""
    factor = load_task("chexpert_imbalance").mix.factor
    assert factor["positive"] * TRAIN["positive"] == 198_814
    assert factor["negative"] * TRAIN["negative"] == pytest.approx(53_552, rel=2e-4)


@pytest.mark.parametrize("row", ["sinddm", "singan"])
def test_single_image_models_of_zhang_learn_from_one_image_each(row):
    """Eight still images of pneumonia (Table 1), a model for each, 32 images from each (section 5.2)."""
    entry = entry_of("lus_limited", row)
    assert (entry.fit, entry.sources_per_class) == ("per_image", 8)
    paper = load_task("lus_limited").profile("paper")
    assert paper.primary_bracket * entry.sources_per_class == paper.reserve == 256


@pytest.mark.parametrize("row", ["sinddm", "fewddm"])
def test_diffusion_of_zhang_halves_its_rate_six_times(row):
    """120,000 steps of 32 images, from 0.001 down to a 64th (section 4.2.1): defaults and task."""
    task, defaults = settings_of("lus_limited", row), import_module(f"benchmark.generators.{row}").Params()
    for p in (task, defaults.model_dump()):
        assert (p["steps"], p["batch_size"], p["learning_rate"]) == (120_000, 32, 1e-3)
        assert p["halve_at"] == tuple(1000 * k for k in (20, 40, 70, 80, 90, 110))


@pytest.mark.parametrize("row", ["ddim", "ddim_reconstruct"])
def test_ddim_of_lan(row):
    """4000 times, linear, 4,000,000 steps of 16 images at 1e-4 (section 4.6)."""
    p = settings_of("chexpert_imbalance", row)
    assert (p["noise_steps"], p["noise_schedule"], p["steps"]) == (4000, "linear", 4_000_000)
    assert (p["batch_size"], p["learning_rate"], p["channels"]) == (16, 1e-4, (128, 128, 256, 256, 512, 512))


@pytest.mark.parametrize("row", ["pggan_class_generated", "pggan_by_classifier", "pggan_embedded"])
def test_pggan_of_segal_ends_at_1024_pixels(row):
    """800,000 images for every fade and every stage, and the average at the end (section 3.2)."""
    entry = entry_of("cxr14_synthetic_only", row)
    assert entry.image_size == 1024
    model = entry.params["model_params"]
    assert model["images_per_stage"] == model["images_per_fade"] == 800_000
    assert entry.previews.count == 1
