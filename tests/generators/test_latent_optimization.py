"""Latent class optimization: closed form of linear networks, patients, thresholds, no convergence."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmark.errors import GeneratorError
from benchmark.generators._latent_optimization import ClassSampler, LatentOptimization, optimize, thresholds

SIZE, SIDE, CLASSES = 5, 4, 3
MIX = torch.randn(SIZE, SIDE * SIDE, generator=torch.Generator().manual_seed(0)) / 8
WEIGHT = torch.randn(SIDE * SIDE, CLASSES, generator=torch.Generator().manual_seed(1))
OFFSET = torch.tensor([0.5, -1.0, 0.0])


class Linear:
    """A generator whose pixels are a linear function of the code."""

    latent_size = SIZE

    def decode(self, latents: Tensor, label: Tensor, random: torch.Generator) -> Tensor:
        return (0.5 + latents @ MIX).view(-1, 1, SIDE, SIDE)


def score(images: Tensor) -> Tensor:
    return images.flatten(1) @ WEIGHT + OFFSET


def gradient(label: int) -> Tensor:
    """Return the gradient of a logit by the code, the same everywhere."""
    return MIX @ WEIGHT[:, label]


def logits(latents: Tensor, label: int) -> Tensor:
    return score(Linear().decode(latents, None, None))[:, label]


def start(count: int, seed: int = 2) -> Tensor:
    return torch.randn(count, SIZE, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("label", range(CLASSES))
def test_linear_networks_take_the_steps_of_the_closed_form(label):
    """A score s needs ceil((T - s) / (alpha |g|^2)) steps of alpha g, and a code above T none."""
    codes, settings = start(8), LatentOptimization(step_size=0.05, most_steps=10_000)
    first, slope = logits(codes, label), gradient(label)
    threshold = first.mean() + torch.linspace(-0.5, 2, 8)
    result = optimize(Linear(), score, codes, label, threshold, settings, seed=0)
    rise = 0.05 * slope.square().sum()
    expected = ((threshold - first) / rise).clamp(min=0).ceil().long()
    assert result.steps.tolist() == expected.tolist()
    torch.testing.assert_close(result.latents, codes + expected[:, None] * 0.05 * slope, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(result.score, first + expected * rise, atol=1e-3, rtol=1e-3)
    assert result.converged.all()
    assert (result.steps[(threshold <= first)] == 0).all()


def test_codes_that_never_get_there_stop_at_the_limit():
    """A score without a gradient, and a threshold too far away, use all steps and are not counted."""
    codes, settings = start(3), LatentOptimization(step_size=0.01, most_steps=7)
    flat = optimize(Linear(), lambda x: score(x) * 0, codes, 0, torch.ones(3), settings, seed=0)
    assert (flat.steps.tolist(), flat.converged.tolist()) == ([7] * 3, [False] * 3)
    torch.testing.assert_close(flat.latents, codes)
    far = optimize(Linear(), score, codes, 0, torch.full((3,), 1e6), settings, seed=0)
    assert (far.steps.tolist(), far.converged.any().item()) == ([7] * 3, False)


def test_a_code_whose_score_is_not_finite_stops():
    """NaN neither counts as converged nor reaches the code; other codes go on."""
    codes = start(3)

    def broken(images: Tensor) -> Tensor:
        scores = score(images).clone()
        scores[1] = torch.nan
        return scores

    result = optimize(Linear(), broken, codes, 0, torch.full((3,), 9.0), LatentOptimization(), seed=0)
    assert result.converged.tolist() == [True, False, True]
    torch.testing.assert_close(result.latents[1], codes[1])


def sampler(limits=(0.0, 0.0, 0.0), seed: int = 4, **changes) -> ClassSampler:
    return ClassSampler(Linear(), score, limits, LatentOptimization(**changes), seed)


def test_patients_have_three_to_six_images():
    """Each patient but the last has 3 to 6 images of one code, and all sizes occur."""
    patient, member = sampler().places(1, np.arange(400))
    sizes = np.bincount(patient)[:-1]
    assert set(sizes) == {3, 4, 5, 6}
    assert sorted(set(member)) == list(range(6))
    assert (np.diff(patient) >= 0).all()


def test_an_image_depends_on_its_class_and_number_alone():
    """Images 7 to 11 alone are those of a longer series; another class or seed gives others."""
    whole, part = sampler().draw(2, np.arange(20)), sampler().draw(2, np.arange(7, 12))
    np.testing.assert_allclose(part.image, whole.image[7:12], atol=1e-6)
    assert part.patient.tolist() == whole.patient[7:12].tolist()
    assert not np.allclose(sampler(seed=5).draw(2, np.arange(3)).image, whole.image[:3])


def test_images_of_a_patient_lie_around_its_code():
    """Without a spread they are one image; with 0.2 the codes scatter with 0.2 around their mean."""
    same = sampler(spread=0.0).draw(1, np.arange(3))
    np.testing.assert_allclose(same.image, same.image[[0, 0, 0]], atol=1e-6)

    class Seen(Linear):
        codes: list[Tensor] = []

        def decode(self, latents: Tensor, label: Tensor, random: torch.Generator) -> Tensor:
            if not latents.requires_grad:
                self.codes.append(latents)
            return super().decode(latents, label, random)

    drawing = ClassSampler(Seen(), score, (-9.0,) * 3, LatentOptimization(neighbors=(400, 400)), 4)
    drawing.draw(0, np.arange(400))
    codes = torch.cat(Seen.codes)[1:]  # the first is the optimized code itself
    assert (codes - codes.mean(0)).std().item() == pytest.approx(0.2, rel=0.1)


def test_first_codes_are_truncated_normal():
    """No entry is beyond 0.7, and their variance is that of the truncated law."""
    from scipy.stats import truncnorm

    codes = np.stack([sampler()._start(0, p) for p in range(500)])
    assert np.abs(codes).max() <= 0.7
    assert codes.var() == pytest.approx(truncnorm.var(-0.7, 0.7), rel=0.08)


def test_thresholds_are_raised_for_severity():
    """The raise is |N(1, 1)|, whose mean is 1.167, one for a patient; without it the threshold stands."""
    rises = [sampler()._rise(0, p) for p in range(2000)]
    expected = np.sqrt(2 / np.pi) * np.exp(-0.5) + 1 - 2 * 0.158655
    assert (min(rises) >= 0, np.mean(rises)) == (True, pytest.approx(expected, abs=0.05))
    drawn = sampler((0.5,) * 3, severity=None).draw(0, np.arange(4))
    assert set(drawn.threshold) == {0.5}
    series = sampler().draw(0, np.arange(9))
    assert all(len(set(series.threshold[series.patient == p])) == 1 for p in set(series.patient))


def test_record_counts_the_patients_that_converged():
    """No code reaches a class that is out of reach in any attempt; every code of another does at once."""
    patients = len(set(sampler().places(0, np.arange(12))[0]))
    never = sampler((1e6,) * 3, most_steps=3, attempts=2).draw(0, np.arange(12)).record()
    always = sampler((-1e6,) * 3).draw(0, np.arange(12)).record()
    assert never == {"patients": patients, "converged": 0, "steps": 2 * 3 * patients}
    assert always == {"patients": patients, "converged": patients, "steps": 0}


def test_a_patient_counts_where_its_first_image_is():
    """The parts of a series count as many patients as the whole."""
    whole = sampler().draw(0, np.arange(40)).record()
    parts = [sampler().draw(0, np.arange(start, start + 10)).record() for start in range(0, 40, 10)]
    assert {name: sum(part[name] for part in parts) for name in whole} == whole


def test_further_attempts_begin_elsewhere_and_the_best_counts():
    """Codes that start above the threshold need no step: of three attempts at 30 % each, 66 % are there."""
    first = logits(torch.from_numpy(np.stack([sampler()._start(0, p) for p in range(300)])).float(), 0)
    drawing = {"severity": None, "most_steps": 1, "step_size": 1e-9}
    threshold = float(first.quantile(0.7))
    patients, raised = np.arange(300), np.full(300, threshold)
    shares = {}
    for attempts in (1, 3):
        drawn = sampler((threshold,) * 3, attempts=attempts, **drawing)
        result = drawn._optimized(0, patients, raised)
        shares[attempts] = result.converged.float().mean().item()
        assert torch.equal(result.converged, result.score >= threshold)
        torch.testing.assert_close(logits(result.latents, 0), result.score)
    assert shares[1] == pytest.approx(0.3, abs=0.01)
    assert shares[3] == pytest.approx(1 - 0.7**3, abs=0.08)


def test_thresholds_come_from_val():
    """Positive images have logits above 2, negative ones below: Youden's threshold is the lowest positive."""
    images = np.array([10, 60, 70, 200], np.uint8)[:, None, None] * np.ones((1, 2, 2), np.uint8)

    def brightness(pixels: Tensor) -> Tensor:
        mean = pixels.mean((1, 2, 3))
        return torch.stack([mean, -mean], 1)

    label = np.array([[0, 1], [0, 1], [1, 1], [1, 1]])
    assert thresholds(brightness, images, label) == (pytest.approx(70 / 255), None)
    assert thresholds(brightness, images, np.array([1, 1, 0, 0])) == (
        pytest.approx(70 / 255), pytest.approx(-60 / 255)
    )  # fmt: skip
    with pytest.raises(GeneratorError, match="class 'Hernia': has no threshold"):
        sampler((0.0, None, 0.0)).draw(1, np.arange(2), "Hernia")
