"""The contract of every generator and control, including the example of docs/add_a_generator.md."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import optuna
import pytest
import torch
from pydantic import ValidationError

from benchmark.errors import GeneratorError
from benchmark.images.image_set import ImageSet
from benchmark.images.lazy import LazyImages
from benchmark.plugins.generator import SampleRequest
from benchmark.plugins.registry import find
from support.fit_context import FakeContext, KilledError
from support.samples import ROOT, blobs

CLASSES = ("a", "b", "c")
COUNTS = {"a": 14, "b": 7, "c": 3}
TINY: dict[str, dict[str, Any]] = {
    "ddpm": {
        "channels": (8, 16),
        "layers": 1,
        "attention": False,
        "groups": 4,
        "unshuffle": 2,
        "steps": 6,
        "batch_size": 4,
        "warmup": 2,
        "average": 0.9,
        "sampler": "dpmsolver++",
        "denoising_steps": 3,
        "previews": 2,
    },
    "stylegan": {
        "style": 8,
        "mapping_layers": 2,
        "channels": 8,
        "steps": 6,
        "batch_size": (4, 4),
        "final_share": 0.5,
        "penalty_every": 2,
        "previews": 2,
    },
}
BUILTIN = [p.stem for p in sorted((ROOT / "benchmark" / "generators").glob("[a-z]*.py"))]
EXAMPLE = str(ROOT / "examples" / "my_generator.py")
EVERY = [*BUILTIN, EXAMPLE]
TRAINED = [name for name in BUILTIN if name in TINY]


def load(name: str) -> ModuleType:
    """Import the module of a generator."""
    return find("generators", [name])[0].load()


def make(name: str) -> Any:
    """Return an unfitted generator of a size that fits in seconds."""
    module = load(name)
    return module.Generator(module.Params(**TINY.get(name, {})))


def context(folder: Path, size: int, **changes: Any) -> FakeContext:
    """Return a context with a reserve for the oracle."""
    reserve = blobs({"a": 4, "b": 4, "c": 4}, size=size, seed=9, prefix="reserve")
    return FakeContext(folder, image_size=size, reserve=reserve, **changes)


def fitted(name: str, folder: Path, size: int = 16) -> Any:
    """Return a generator fitted to blobs."""
    generator = make(name)
    generator.fit(blobs(COUNTS, size=size), context(folder, size))
    return generator


def saved(generator: Any, folder: Path) -> None:
    """Save into an existing folder, as the suite does."""
    folder.mkdir()
    generator.save(folder)


def request(size: int = 16) -> SampleRequest:
    """Return a request for seven images with classes in mixed order."""
    return SampleRequest(np.array([2, 0, 1, 1, 0, 2, 0]), CLASSES, size)


def folder_hashes(folder: Path) -> dict[str, str]:
    """Return the hash of every file in a folder."""
    files = (p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.mark.parametrize("name", EVERY)
def test_module_has_its_parts(name: str) -> None:
    """A module has version, card and parameters, and every default names its source."""
    module = load(name)
    assert isinstance(module.version, str)
    assert module.card.keys() == {"title", "role", "description", "citation", "license"}
    assert module.card["role"] in ("generator", "control")
    assert module.Generator.conditions <= {"label", "mask", "text"}
    assert all(field.description for field in module.Params.model_fields.values())
    assert module.Params() == module.Params()
    with pytest.raises(ValidationError):
        module.Params(no_such_field=1)


@pytest.mark.parametrize(
    ("name", "size"), [*((n, 16) for n in EVERY), *((n, 32) for n in EVERY), ("ddpm", 64), ("stylegan", 64)]
)
def test_samples_match_the_request(name: str, size: int, tmp_path: Path) -> None:
    """Samples have the requested count, size, type and class order, unique ids, and are not blank."""
    drawn = fitted(name, tmp_path, size).sample(request(size), seed=1)
    assert isinstance(drawn, ImageSet)
    assert drawn.image.shape == (7, size, size)
    assert drawn.image.dtype == np.uint8
    assert drawn.classes == CLASSES
    assert drawn.label.tolist() == request().label.tolist()
    assert set(drawn.origin) == {f"synthetic:{Path(name).stem}"}
    assert drawn.image.std() > 1


@pytest.mark.parametrize("name", EVERY)
def test_seed_decides_the_bytes(name: str, tmp_path: Path) -> None:
    """The same seed gives the same bytes whatever the global state; another seed gives other bytes."""
    generator = fitted(name, tmp_path)
    first = generator.sample(request(), seed=1)
    np.random.seed(3)  # noqa: NPY002
    torch.manual_seed(3)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    assert generator.sample(request(), seed=1).content_hash() == first.content_hash()
    assert generator.sample(request(), seed=2).content_hash() != first.content_hash()
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002


@pytest.mark.parametrize("name", EVERY)
def test_two_fits_with_one_seed_are_equal(name: str, tmp_path: Path) -> None:
    """The same images and seed give the same bytes on disk, although the global state differs."""
    for part in ("one", "two"):
        torch.manual_seed(len(part) + ord(part[0]))
        saved(fitted(name, tmp_path), tmp_path / part)
    assert folder_hashes(tmp_path / "one") == folder_hashes(tmp_path / "two")


@pytest.mark.parametrize("name", EVERY)
def test_a_loaded_generator_samples_the_same(name: str, tmp_path: Path) -> None:
    """A loaded generator samples the same bytes, and its folder has no pickle."""
    generator = fitted(name, tmp_path)
    saved(generator, tmp_path / "saved")
    loaded = load(name).Generator.load(tmp_path / "saved")
    assert (
        loaded.sample(request(), seed=4).content_hash() == generator.sample(request(), seed=4).content_hash()
    )
    suffixes = {p.suffix for p in (tmp_path / "saved").rglob("*") if p.is_file()}
    assert suffixes <= {".safetensors", ".json"}
    saved(loaded, tmp_path / "again")
    assert folder_hashes(tmp_path / "again") == folder_hashes(tmp_path / "saved")


@pytest.mark.parametrize("name", EVERY)
def test_single_class(name: str, tmp_path: Path) -> None:
    """One class of three is enough for a fit; a request for another class is refused by name."""
    generator = make(name)
    one_class = blobs(COUNTS).of_class(1)
    generator.fit(one_class, context(tmp_path, 16, labels=(1, 1)))
    drawn = generator.sample(SampleRequest(np.array([1, 1, 1]), CLASSES, 16), seed=1)
    assert drawn.label.tolist() == [1, 1, 1]
    if name != "oracle":  # the oracle draws from the reserve
        with pytest.raises(GeneratorError, match="class 'a'"):
            generator.sample(SampleRequest(np.array([0, 1]), CLASSES, 16), seed=1)


@pytest.mark.parametrize("name", BUILTIN)
def test_another_size_is_refused(name: str, tmp_path: Path) -> None:
    """A generator fitted at 16 px refuses a request for 32 px."""
    with pytest.raises(GeneratorError, match="16 px, the request is for 32 px"):
        fitted(name, tmp_path).sample(request(32), seed=1)


@pytest.mark.parametrize("name", BUILTIN)
def test_broken_folder_is_refused(name: str, tmp_path: Path) -> None:
    """A missing or truncated file raises a GeneratorError that names the folder."""
    generator = fitted(name, tmp_path)
    saved(generator, tmp_path / "saved")
    weights = tmp_path / "saved" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:50])
    for folder in (tmp_path / "saved", tmp_path / "nowhere"):
        with pytest.raises(GeneratorError, match=folder.name):
            load(name).Generator.load(folder)


@pytest.mark.parametrize("name", TRAINED)
def test_search_space_gives_valid_parameters(name: str) -> None:
    """Suggested parameters are valid and vary."""
    module, study = load(name), optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    suggestions = [module.Params(**module.search_space(study.ask())) for _ in range(5)]
    assert len({p.model_dump_json() for p in suggestions}) == 5


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("kill_after", [1, 4])
@pytest.mark.parametrize("name", TRAINED)
def test_killed_fit_resumes_to_the_same_bytes(
    name: str, kill_after: int, precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed fit that resumes from its last state gives the bytes of an uninterrupted fit."""
    monkeypatch.setattr("benchmark.generators._network_training.SAVE_EVERY_SECONDS", 0.0)
    monkeypatch.setattr("benchmark.generators._network_training.SAVE_AT_MOST", 1e9)
    train = blobs(COUNTS)
    whole = make(name)
    whole.fit(train, context(tmp_path, 16, precision=precision))
    dying = context(tmp_path, 16, precision=precision, kill_after=kill_after)
    with pytest.raises(KilledError):
        make(name).fit(train, dying)
    resumed, second = make(name), replace(dying, kill_after=0, steps=[], previews=[])
    resumed.fit(train, second)
    assert min(second.steps) == kill_after + 1  # the fit resumed and did not restart
    saved(whole, tmp_path / "whole")
    saved(resumed, tmp_path / "resumed")
    assert folder_hashes(tmp_path / "whole") == folder_hashes(tmp_path / "resumed")


@pytest.mark.parametrize("name", TRAINED)
def test_state_after_the_last_step_is_complete(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fit killed after its last step resumes with no step left, and can be saved and sampled."""
    monkeypatch.setattr("benchmark.generators._network_training.SAVE_EVERY_SECONDS", 0.0)
    monkeypatch.setattr("benchmark.generators._network_training.SAVE_AT_MOST", 1e9)
    dying = context(tmp_path, 16, kill_after=TINY[name]["steps"])
    with pytest.raises(KilledError):
        make(name).fit(blobs(COUNTS), dying)
    again = make(name)
    again.fit(blobs(COUNTS), replace(dying, kill_after=0, steps=[]))
    whole = fitted(name, tmp_path)
    assert again.sample(request(), seed=1).content_hash() == whole.sample(request(), seed=1).content_hash()


@pytest.mark.parametrize("name", TRAINED)
def test_fit_reports_and_stops_on_request(name: str, tmp_path: Path) -> None:
    """Previews come at the requested interval and at the last step; True from report ends the fit at once."""
    steps = TINY[name]["steps"]
    full = context(tmp_path, 16)
    make(name).fit(blobs(COUNTS), full)
    assert full.steps == list(range(1, steps + 1))
    assert len(full.previews) == 2
    assert full.previews[-1] == steps
    stopped = context(tmp_path, 16, stop_at=2)
    make(name).fit(blobs(COUNTS), stopped)
    assert stopped.steps[-1] == 2


@pytest.mark.parametrize("name", EVERY)
def test_lazy_images_equal_an_array(name: str, tmp_path: Path) -> None:
    """A fit on lazy images gives the same samples as one on an array."""
    images = blobs(COUNTS)
    unread = replace(images, image=LazyImages.each(lambda row: images.image[row], len(images), 16))
    request = SampleRequest.balanced(2, CLASSES, 16)
    drawn = []
    for number, train in enumerate((images, unread)):
        generator = make(name)
        generator.fit(train, context(tmp_path / str(number), 16))
        drawn.append(generator.sample(request, seed=1).content_hash())
    assert drawn[0] == drawn[1]
