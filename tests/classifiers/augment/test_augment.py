"""Augmentation pipelines of the recipes: the operations that they draw, and how often."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Generator, Tensor

from benchmark.classifiers.augment import PIPELINES, lan, mild_affine, segal, zhang
from benchmark.classifiers.augment.draws import changed, one_of
from benchmark.tasks.classifier import ClassifierConfig
from support.grays import batch_of, picture

OLD_SUM = 840.2055343141983
SCHAUDT = importlib.import_module("benchmark.classifiers.augment.schaudt")


def rng(seed: int = 0) -> Generator:
    return torch.Generator().manual_seed(seed)


def batch(n: int = 64, size: int = 16) -> Tensor:
    return torch.rand(n, 1, size, size, generator=rng(9))


def test_every_name_of_the_schema_is_a_pipeline() -> None:
    """The schema's names are exactly the implemented pipelines."""
    assert set(ClassifierConfig.model_fields["augmentation"].annotation.__args__) == set(PIPELINES)


@pytest.mark.parametrize("name", sorted(PIPELINES))
@pytest.mark.parametrize("shape", [(32, 16, 16), (5, 40, 56), (1, 33, 33)])
def test_pipeline_is_a_function_of_batch_and_seed(name: str, shape: tuple[int, int, int]) -> None:
    """The same seed gives the same bytes.

    Range, type, shape, the input and the global generator are unchanged.
    """
    n, height, width = shape
    images = torch.rand(n, 1, height, width, generator=rng(9))
    given, before = images.clone(), torch.get_rng_state()
    one, two = PIPELINES[name](images, rng(3)), PIPELINES[name](images, rng(3))
    assert torch.equal(one, two)
    assert one.shape == images.shape
    assert one.dtype == images.dtype
    assert 0 <= one.min() <= one.max() <= 1
    assert torch.equal(images, given)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("name", sorted(set(PIPELINES) - {"none"}))
def test_pipeline_changes_images_by_the_seed(name: str) -> None:
    """Another seed gives other images."""
    assert not torch.equal(PIPELINES[name](batch(), rng(3)), PIPELINES[name](batch(), rng(4)))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", sorted(PIPELINES))
def test_a_seed_gives_the_same_result_on_every_device(name: str) -> None:
    """Draws are made on the CPU, so a device's result equals the CPU's up to rounding.

    Rounding may move a nearest-neighbor pixel to its neighbor, or a gray value to the next level of CLAHE.
    """
    here, there = PIPELINES[name](batch(), rng(3)), PIPELINES[name](batch().cuda(), rng(3))
    assert there.is_cuda
    assert float(((here - there.cpu()).abs() > 2e-3).float().mean()) < 5e-3


def test_no_pipeline_returns_the_batch() -> None:
    """The batch is returned without a copy."""
    images = batch()
    assert PIPELINES["none"](images, rng()) is images


def test_mild_affine_keeps_its_bytes() -> None:
    """The checksum of a fixed batch does not change."""
    assert float(mild_affine(batch(8), rng(3)).double().sum()) == pytest.approx(OLD_SUM, abs=1e-3)


def test_operations_run_on_the_chosen_images() -> None:
    """An operation receives the chosen images and their indices, and is not called without any."""
    received: list[list[int]] = []

    def invert(images: Tensor, rows: Tensor) -> Tensor:
        received.append(rows.tolist())
        return 1 - images

    images = batch(4)
    inverted = changed(images, torch.tensor([True, False, False, True]), invert)
    assert torch.equal(inverted[[0, 3]], 1 - images[[0, 3]])
    assert torch.equal(inverted[1:3], images[1:3])
    assert changed(images, torch.zeros(4, dtype=torch.bool), invert) is images
    assert received == [[0, 3]]


def test_one_of_a_group_by_frequency() -> None:
    """Of 20000 images a tenth is unchanged, the rest is divided evenly, and none is changed twice."""
    added = [lambda images, rows, k=k: images + 10**k for k in range(3)]
    drawn = one_of(torch.zeros(20000, 1, 1, 1), 0.9, rng(1), *added).flatten()
    assert set(drawn.tolist()) == {0, 1, 10, 100}
    for value, share in ((0, 0.1), (1, 0.3), (10, 0.3), (100, 0.3)):
        assert float((drawn == value).float().mean()) == pytest.approx(share, abs=0.012)


def recorded(monkeypatch: pytest.MonkeyPatch, *names: str) -> dict[str, list[Any]]:
    """Record the parameters of calls to these operations of ``schaudt``; images come back unchanged."""
    calls: dict[str, list[Any]] = {name: [] for name in names}

    def record(name: str) -> Callable[..., Tensor]:
        real = getattr(SCHAUDT, name)

        def operation(*args: Any, **kwargs: Any) -> Tensor:
            calls[name].append((len(args[0]), args, kwargs))
            return args[0] if args[0].ndim == 4 else real(*args, **kwargs)

        return operation

    for name in names:
        monkeypatch.setattr(SCHAUDT, name, record(name))
    return calls


def test_schaudt_follows_table_4(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every operation of the table occurs at its frequency and covers exactly its range."""
    n = 6000
    calls = recorded(
        monkeypatch, "shift_scale_rotate", "clahe", "linear", "gamma", "sharpening", "box", "line", "convolve"
    )
    PIPELINES["schaudt"](batch(n, 16), rng(5))
    counts = {name: [count / n for count, _, _ in recorded_calls] for name, recorded_calls in calls.items()}
    expected = {name: [0.3] for name in ("clahe", "gamma", "sharpening", "box", "line")}
    expected |= {"shift_scale_rotate": [1.0], "convolve": [1.0], "linear": [0.3, 0.45, 0.45]}
    for name, shares in expected.items():
        assert counts[name] == pytest.approx(shares, abs=0.03)

    def spans(name: str, place: int, low: float, high: float, call: int = 0) -> None:
        values = calls[name][call][1][place].float()
        slack = (high - low) / 100
        assert low <= values.min() < low + slack
        assert high - slack < values.max() <= high

    spans("shift_scale_rotate", 1, -10, 10)
    spans("shift_scale_rotate", 2, 0.5, 1.5)
    spans("shift_scale_rotate", 3, -0.1, 0.1)
    assert calls["shift_scale_rotate"][0][1][4] == "mirror"
    spans("clahe", 1, 1, 4)
    assert calls["clahe"][0][2] == {"tiles": 8}
    for call in (0, 1):
        spans("linear", 1, 0.8, 1.2, call)
        spans("linear", 2, -0.2, 0.2, call)
    assert calls["linear"][2][1][1] == 1
    spans("linear", 2, -20 / 255, 20 / 255, 2)
    spans("gamma", 1, 0.8, 1.2)
    spans("sharpening", 0, 0.2, 0.5)
    spans("sharpening", 1, 0.5, 1)
    for name in ("box", "line"):
        widths, often = calls[name][0][1][0].unique(return_counts=True)
        assert widths.tolist() == [3, 5, 7]
        assert (often / often.sum()).tolist() == pytest.approx([1 / 3] * 3, abs=0.05)
    _, (_, kernel, pixel), _ = calls["convolve"][0]
    assert pixel == pytest.approx(16 / 224)
    unchanged = (kernel == SCHAUDT.identity(7)).all(2).all(1).float().mean()
    assert float(unchanged) == pytest.approx(0.1, abs=0.02)


def test_motion_blurs_connect_two_pixels_of_their_square(monkeypatch: pytest.MonkeyPatch) -> None:
    """The two pixels differ, and every pixel of the square occurs as an end."""
    calls = recorded(monkeypatch, "line", "convolve")
    PIPELINES["schaudt"](batch(6000, 8), rng(6))
    _, (width, ends, _), _ = calls["line"][0]
    assert (ends >= 0).all()
    assert (ends < width[:, None, None]).all()
    assert (ends[:, 0] != ends[:, 1]).any(1).all()
    for w in (3, 5, 7):
        for end in (0, 1):
            assert len(ends[width == w][:, end].unique(dim=0)) == w * w


@pytest.mark.parametrize("name", [f"lan_{operation.__name__}" for operation in lan.OPERATIONS])
def test_lan_changes_every_second_image(name: str) -> None:
    """Each operation has probability 0.5; a shear of 0 degrees, one draw in 31, has no effect."""
    images = batch_of(picture(24)).expand(2000, 1, 24, 24)
    touched = ((PIPELINES[name](images, rng(7)) - images).abs().amax((1, 2, 3)) > 1e-4).float().mean()
    assert float(touched) == pytest.approx(0.5 * 30 / 31 if name == "lan_shearing" else 0.5, abs=0.04)


def test_lan_combinations() -> None:
    """All eight operations leave one image in 256 unchanged; the thesis's final five, one in 32."""
    assert len(lan.OPERATIONS) == 8
    assert {step.__name__ for step in lan.FINAL} == {"rotation", "shearing", "flipping", "noise", "blurring"}
    images = batch_of(picture(16)).expand(4000, 1, 16, 16)
    for name, share in (("lan_all", 1 / 256), ("lan", 1 / 32)):
        same = ((PIPELINES[name](images, rng(8)) - images).abs().amax((1, 2, 3)) < 1e-4).float().mean()
        assert float(same) == pytest.approx(share, abs=0.006)


def test_lan_noise_by_its_moments() -> None:
    """Half get Gaussian noise of deviation up to 30 * sqrt(0.5) levels, half 5 % black pixels."""
    gray = torch.full((600, 1, 32, 32), 0.5)
    noisy = lan.noise(gray, rng(9))[:, 0]
    black = (noisy == 0).float().mean((1, 2))
    peppered = black > 0
    assert float(peppered.float().mean()) == pytest.approx(0.5, abs=0.06)
    assert float(black[peppered].mean()) == pytest.approx(0.05, abs=0.002)
    deviation = noisy[~peppered].std((1, 2)) * 255
    assert float(deviation.max()) == pytest.approx(30 * 0.5**0.5, abs=1.2)
    assert float(deviation.mean()) == pytest.approx(15 * 0.5**0.5, abs=1)


def bars(n: int = 400, size: int = 41) -> Tensor:
    """Return black images with a vertical bar in the middle."""
    images = torch.zeros(n, 1, size, size)
    images[:, :, 4:-4, size // 2] = 1
    return images


def angles(images: Tensor) -> Tensor:
    """Return the rotation of each bar in degrees, from its second moments."""
    size = images.shape[-1]
    place = torch.arange(size) - (size - 1) / 2
    weight = images[:, 0] / images[:, 0].sum((1, 2), keepdim=True)
    x = place[None, None, :] - (weight * place[None, None, :]).sum((1, 2), keepdim=True)
    y = place[None, :, None] - (weight * place[None, :, None]).sum((1, 2), keepdim=True)
    slope = (weight * x * y).sum((1, 2)) / (weight * y * y).sum((1, 2))
    return torch.rad2deg(torch.atan(slope))


@pytest.mark.parametrize("pipeline", [zhang, segal])
def test_rotation_is_up_to_ten_degrees_both_ways(pipeline: Callable[[Tensor, Generator], Tensor]) -> None:
    """Angles are uniform from -10 to 10 degrees."""
    turned = angles(pipeline(bars(), rng(4)))
    assert turned.abs().max() < 10.3
    assert turned.min() < -9
    assert turned.max() > 9
    assert abs(float(turned.mean())) < 1
    assert float(turned.abs().mean()) == pytest.approx(5, abs=0.5)


def corner(n: int = 600, size: int = 40) -> Tensor:
    """Return dark images with a bright square in the upper left quarter."""
    images = torch.zeros(n, 1, size, size)
    images[:, :, 8:14, 8:14] = 1
    return images


def quarters(images: Tensor) -> Tensor:
    """Return the share of images that are brightest upper left, upper right, lower left and lower right."""
    half = images.shape[-1] // 2
    parts = [images[:, 0, a : a + half, b : b + half].sum((1, 2)) for a in (0, half) for b in (0, half)]
    return torch.bincount(torch.stack(parts, 1).argmax(1), minlength=4) / len(images)


def test_zhang_flips_on_both_axes() -> None:
    """A corner lands in every quarter with probability 1/4: the flips are independent, 0.5 each."""
    assert quarters(zhang(corner(), rng(5))).tolist() == pytest.approx([0.25] * 4, abs=0.06)


def test_segal_flips_horizontally_only() -> None:
    """A corner lands left or right with probability 0.5, never below."""
    assert quarters(segal(corner(), rng(6))).tolist() == pytest.approx([0.5, 0.5, 0, 0], abs=0.06)


def test_zhang_shifts_by_a_tenth() -> None:
    """A disk moves by up to a tenth of the side in both directions, and covers that range."""
    place = torch.arange(61) - 30
    disk = ((place[:, None] ** 2 + place**2) < 30).float().expand(400, 1, 61, 61)
    moved = zhang(disk, rng(7))[:, 0]
    at = [(moved.sum(axis) * place).sum(1) / moved.sum((1, 2)) for axis in (1, 2)]
    for along in at:
        assert along.abs().max() < 6.2
        assert along.abs().max() > 5.5
        assert float(along.mean()) == pytest.approx(0, abs=0.4)


def test_border_mode() -> None:
    """Zhang's Keras generator repeats the edge, so white stays white; Segal's fills with black."""
    white = torch.ones(100, 1, 32, 32)
    assert zhang(white, rng(8)).min() == pytest.approx(1, abs=1e-5)
    assert segal(white, rng(8))[:, 0, 0, 0].min() == 0


def test_segal_jitters_brightness_and_contrast_by_a_tenth() -> None:
    """For an image of two grays, mean and difference are each scaled by 0.9 to 1.1."""
    images = torch.full((3000, 1, 16, 16), 0.3)
    images[:, :, :, 4:12] = 0.5
    images[:, :, 4:12, :4] = 0.3
    drawn = segal(images, rng(9))[:, 0, 6:10]
    inner, outer = drawn[:, :, 7:9].mean((1, 2)), drawn[:, :, [2, 13]].mean((1, 2))
    distance = (inner - outer) / 0.2
    assert distance.min() > 0.9 * 0.9 - 0.03
    assert distance.max() < 1.1 * 1.1 + 0.03
    assert distance.min() < 0.86
    assert distance.max() > 1.14
    gain = inner / 0.5
    assert float(gain.mean()) == pytest.approx(1, abs=0.01)
    assert gain.min() == pytest.approx(0.9, abs=0.03)
    assert gain.max() == pytest.approx(1.1, abs=0.03)
