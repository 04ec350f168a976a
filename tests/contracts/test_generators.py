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
from benchmark.plugins.contexts import SampleContext
from benchmark.plugins.generator import CONDITIONS, SampleRequest, Samples, Traits
from benchmark.plugins.registry import find
from benchmark.stages.samples import check_samples
from support.fit_context import FakeContext, KilledError
from support.samples import ROOT, blobs

CLASSES = ("a", "b", "c")
COUNTS = {"a": 14, "b": 7, "c": 3}
BUILTIN = [p.stem for p in sorted((ROOT / "benchmark" / "generators").glob("[a-z]*.py"))]
EXAMPLE = str(ROOT / "examples" / "my_generator.py")
EVERY = [*BUILTIN, EXAMPLE]
TRAINED = [n for n in BUILTIN if hasattr(find("generators", [n])[0].load(), "tiny")]


def load(name: str) -> ModuleType:
    """Import the module of a generator."""
    return find("generators", [name])[0].load()


def make(name: str) -> Any:
    """Return an unfitted generator of a size that fits in seconds."""
    module = load(name)
    return module.Generator(module.Params(**tiny(name)))


def tiny(name: str) -> dict[str, Any]:
    """Return the parameters of a fit of seconds."""
    module = load(name)
    return module.tiny() if hasattr(module, "tiny") else {}


def draw(generator: Any, wanted: SampleRequest, seed: int) -> Samples:
    """Return samples that fit the request, as the suite checks them."""
    return check_samples(generator.sample(wanted, SampleContext(seed=seed)), wanted, "row")


def digest(samples: Samples) -> str:
    """Return a hash of the pixels."""
    return hashlib.sha256(samples.image.tobytes()).hexdigest()


def of_one_image(name: str) -> bool:
    """Return whether a fit learns from a single image."""
    return Traits.of(load(name).Generator).fit_unit == "per_image"


def images(name: str, size: int = 16) -> ImageSet:
    """Return what a fit learns from: blobs of three classes, or one of them."""
    every = blobs(COUNTS, size=size)
    return every.select(np.array([0])) if of_one_image(name) else every


def context(folder: Path, size: int, generator: Any = None, **changes: Any) -> FakeContext:
    """Return a context with a reserve for the oracle; with a generator it draws previews."""
    reserve = blobs({"a": 4, "b": 4, "c": 4}, size=size, seed=9, prefix="reserve")
    if generator is not None and Traits.of(type(generator)).fit_unit == "per_image":
        changes = {"labels": (0, 0, 0, 0)} | changes
    val = blobs({"a": 4, "b": 4, "c": 4}, size=size, seed=8, prefix="val")
    return FakeContext(folder, generator, image_size=size, reserve=reserve, val=val, **changes)


def fitted(name: str, folder: Path, size: int = 16) -> Any:
    """Return a generator fitted to blobs."""
    generator = make(name)
    generator.fit(images(name, size), context(folder, size, generator))
    return generator


def saved(generator: Any, folder: Path) -> None:
    """Save into an existing folder, as the suite does."""
    folder.mkdir()
    generator.save(folder)


def request(name: str, size: int = 16) -> SampleRequest:
    """Return a request for seven images with classes in mixed order, as far as a fit learns several."""
    label = np.array([2, 0, 1, 1, 0, 2, 0])
    return SampleRequest(label * 0 if of_one_image(name) else label, CLASSES, size)


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
    traits = Traits.of(module.Generator)
    assert traits.conditions <= set(CONDITIONS)
    assert traits.fit_unit in ("joint", "per_class", "per_image")
    assert traits.requires <= {"classifier"}
    assert traits.determinism in ("exact", "statistical")
    assert all(field.description for field in module.Params.model_fields.values())
    assert module.Params() == module.Params()
    with pytest.raises(ValidationError):
        module.Params(no_such_field=1)


@pytest.mark.parametrize(
    ("name", "size"), [*((n, 16) for n in EVERY), *((n, 32) for n in EVERY), ("ddpm", 64), ("stylegan", 64)]
)
def test_samples_match_the_request(name: str, size: int, tmp_path: Path) -> None:
    """Samples have the requested count and size, and are not blank."""
    drawn = draw(fitted(name, tmp_path, size), request(name, size), seed=1)
    assert drawn.image.shape == (7, size, size)
    assert drawn.image.dtype == np.uint8
    assert drawn.image.std() > 1


@pytest.mark.parametrize("name", EVERY)
def test_seed_decides_the_bytes(name: str, tmp_path: Path) -> None:
    """The same seed gives the same bytes whatever the global state, which does not move."""
    generator = fitted(name, tmp_path)
    first = digest(draw(generator, request(name), seed=1))
    np.random.seed(3)  # noqa: NPY002
    torch.manual_seed(3)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    assert digest(draw(generator, request(name), seed=1)) == first
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002


@pytest.mark.parametrize("name", EVERY)
def test_another_chunk_gives_other_images(name: str, tmp_path: Path) -> None:
    """Chunks differ by their seed and the numbers of their images; none repeats another's images."""
    generator = fitted(name, tmp_path)  # the reserve has four images of the class
    label, numbers = np.zeros(2, np.int64), (np.array([0, 1]), np.array([2, 3]))
    chunks = [SampleRequest(label, CLASSES, 16, index) for index in numbers]
    first, second = (draw(generator, chunk, seed=k) for k, chunk in enumerate(chunks))
    seen = {image.tobytes() for image in first.image}
    assert not seen & {image.tobytes() for image in second.image}


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
    loaded = load(name).Generator.load(tmp_path / "saved", SampleContext())
    assert digest(draw(loaded, request(name), seed=4)) == digest(draw(generator, request(name), seed=4))
    suffixes = {p.suffix for p in (tmp_path / "saved").rglob("*") if p.is_file()}
    assert suffixes <= {".safetensors", ".json"}
    saved(loaded, tmp_path / "again")
    assert folder_hashes(tmp_path / "again") == folder_hashes(tmp_path / "saved")


@pytest.mark.parametrize("name", EVERY)
def test_single_class(name: str, tmp_path: Path) -> None:
    """One class of three is enough for a fit; a request for another class is refused by name."""
    generator = make(name)
    one_class = blobs(COUNTS).of_class(1)
    if of_one_image(name):
        one_class = one_class.select(np.array([0]))
    generator.fit(one_class, context(tmp_path, 16, generator, labels=(1, 1)))
    draw(generator, SampleRequest(np.array([1, 1, 1]), CLASSES, 16), seed=1)
    if name != "oracle":  # the oracle draws from the reserve
        with pytest.raises(GeneratorError, match="class 'a'"):
            draw(generator, SampleRequest(np.array([0, 1]), CLASSES, 16), seed=1)


@pytest.mark.parametrize("name", BUILTIN)
def test_another_size_is_refused(name: str, tmp_path: Path) -> None:
    """A generator fitted at 16 px refuses a request for 32 px."""
    with pytest.raises(GeneratorError, match="16 px, the request is for 32 px"):
        draw(fitted(name, tmp_path), request(name, 32), seed=1)


@pytest.mark.parametrize("name", BUILTIN)
def test_broken_folder_is_refused(name: str, tmp_path: Path) -> None:
    """A missing or truncated file raises a GeneratorError that names the folder."""
    generator = fitted(name, tmp_path)
    saved(generator, tmp_path / "saved")
    weights = tmp_path / "saved" / generator.tensors
    weights.write_bytes(weights.read_bytes()[:50])
    for folder in (tmp_path / "saved", tmp_path / "nowhere"):
        with pytest.raises(GeneratorError, match=folder.name):
            load(name).Generator.load(folder, SampleContext())


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
    train = images(name)
    whole, killed, resumed = make(name), make(name), make(name)
    whole.fit(train, context(tmp_path, 16, whole, precision=precision))
    dying = context(tmp_path, 16, killed, precision=precision, kill_after=kill_after)
    with pytest.raises(KilledError):
        killed.fit(train, dying)
    second = replace(dying, generator=resumed, kill_after=0, steps=[], previews=[])
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
    whole, killed, again = make(name), make(name), make(name)
    full = context(tmp_path, 16, whole)
    whole.fit(images(name), full)
    dying = context(tmp_path, 16, killed, kill_after=full.total)
    with pytest.raises(KilledError):
        killed.fit(images(name), dying)
    again.fit(images(name), replace(dying, generator=again, kill_after=0, steps=[]))
    assert digest(draw(again, request(name), seed=1)) == digest(draw(whole, request(name), seed=1))


@pytest.mark.parametrize("name", TRAINED)
def test_fit_records_its_steps_and_stops_on_request(name: str, tmp_path: Path) -> None:
    """A fit logs and records every step, has previews until the last one, and ends when it should."""
    generator = make(name)
    full = context(tmp_path, 16, generator)
    generator.fit(images(name), full)
    assert full.steps == full.logged == list(range(1, full.total + 1))
    assert len(full.previews) == 2
    assert full.previews[-1] == full.total
    stopped = context(tmp_path, 16, stop_at=2)
    make(name).fit(images(name), stopped)
    assert stopped.steps[-1] == 2


@pytest.mark.parametrize("name", EVERY)
def test_lazy_images_equal_an_array(name: str, tmp_path: Path) -> None:
    """A fit on lazy images gives the same samples as one on an array."""
    read = images(name)
    unread = replace(read, image=LazyImages.each(lambda row: read.image[row], len(read), 16))
    drawn = []
    for number, train in enumerate((read, unread)):
        generator = make(name)
        generator.fit(train, context(tmp_path / str(number), 16, generator))
        drawn.append(digest(draw(generator, request(name), seed=1)))
    assert drawn[0] == drawn[1]
