"""Drawing in chunks: the same first images for any number, resumable, from several fits in turn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import uniform_filter

from benchmark.errors import GeneratorError
from support.generator_jobs import Jobs, small_splits


@pytest.mark.parametrize("whole", [True, False])
def test_the_first_images_do_not_depend_on_the_number(tmp_path, whole):
    """3, 4, 5 and 11 images in chunks of 4 begin alike, whether a chunk is drawn whole or cut."""
    jobs = Jobs(tmp_path, small_splits(), whole=whole)
    fitted, _ = jobs.fit("fit")
    most = jobs.draw("most", "b", [fitted], 11)
    for count in (3, 4, 5):
        fewer = jobs.draw(f"of-{count}", "b", [fitted], count)
        assert len(fewer) == count
        assert np.array_equal(fewer.image, most.image[:count])
        assert fewer.image_id.tolist() == most.image_id[:count].tolist()


def test_only_a_generator_of_positions_gets_a_cut_chunk(tmp_path):
    """Six images in chunks of four request 4 and 4, or 4 and 2 where a chunk may be cut."""
    requested = {}
    for whole in (True, False):
        (tmp_path / str(whole)).mkdir()
        jobs = Jobs(tmp_path / str(whole), small_splits(), whole=whole)
        jobs.draw("drawn", "a", [jobs.fit("fit")[0]], 6)
        requested[whole] = [call["index"] for call in jobs.calls("sample")]
    assert requested == {True: [[0, 1, 2, 3], [4, 5, 6, 7]], False: [[0, 1, 2, 3], [4, 5]]}


def test_chunks_have_separate_seeds(tmp_path):
    """Chunks, classes and fits differ in their seeds."""
    jobs = Jobs(tmp_path, small_splits())
    for name in ("a", "b"):
        fitted = [jobs.fit(f"fit-{name}-{n}", name, n, unit="per_image")[0] for n in (0, 1)]
        jobs.draw(name, name, fitted, 16, unit="per_image")
    seeds = [call["seed"] for call in jobs.calls("sample")]
    assert len(seeds) == 2 * 2 * 2 == len(set(seeds))


def killed_in_the_third_chunk(folder):
    """Return the jobs, the fit and a whole drawing of 14 images, after a drawing that was killed."""
    jobs = Jobs(folder, small_splits())
    fitted, _ = jobs.fit("fit")
    whole = jobs.draw("whole", "a", [fitted], 14)
    (folder / "calls.jsonl").unlink()
    (folder / "crash").write_text("8")
    with pytest.raises(SystemExit):
        jobs.draw("killed", "a", [fitted], 14)
    (folder / "crash").unlink()
    return jobs, fitted, whole


def test_a_crash_loses_one_chunk(tmp_path):
    """After a kill in the third of four chunks, two are drawn, and the bytes are those of a whole drawing."""
    jobs, fitted, whole = killed_in_the_third_chunk(tmp_path)
    again = jobs.draw("killed", "a", [fitted], 14)
    assert [call["index"][0] for call in jobs.calls("sample")] == [0, 4, 8, 8, 12]
    assert again.content_hash() == whole.content_hash()


def test_a_damaged_chunk_is_drawn_again(tmp_path):
    """A bit that flips in the pixels of a drawn chunk changes no image of the result."""
    jobs, fitted, whole = killed_in_the_third_chunk(tmp_path)
    (path,) = (p for p in tmp_path.rglob("0-1.arrow") if "killed" in str(p.relative_to(tmp_path)))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    again = jobs.draw("killed", "a", [fitted], 14)
    assert [call["index"][0] for call in jobs.calls("sample")] == [0, 4, 8, 4, 8, 12]
    assert again.content_hash() == whole.content_hash()


def test_images_of_several_fits_alternate(tmp_path):
    """Of three fits the images 0, 3, 6 are of the first; numbers count within a fit."""
    jobs = Jobs(tmp_path, small_splits())
    results = [jobs.fit(f"fit-{n}", "b", n, unit="per_image") for n in range(3)]
    drawn = jobs.draw("drawn", "b", [folder for folder, _ in results], 8, unit="per_image")
    sources = [int(result.source_id.split("-")[1]) for _, result in results]
    assert drawn.image[:, 0, 2].tolist() == (sources * 3)[:8]
    assert drawn.image[:, 0, 0].tolist() == [0, 0, 0, 1, 1, 1, 2, 2]


def test_fewer_images_than_fits(tmp_path):
    """Two images of three fits are of the first two; a fit without anything to learn is left out."""
    jobs = Jobs(tmp_path, small_splits())
    results = [jobs.fit(f"fit-{n}", "c", n, unit="per_image") for n in range(3)]
    folders = [folder for folder, _ in results]
    one = jobs.draw("one", "c", folders, 1, unit="per_image")
    five = jobs.draw("five", "c", folders, 5, unit="per_image")
    sources = [int(result.source_id.split("-")[1]) for _, result in results[:2]]
    assert one.image[:, 0, 2].tolist() == sources[:1]
    assert five.image[:, 0, 2].tolist() == [*sources, *sources, sources[0]]


def test_a_class_that_nothing_learned_is_an_error(tmp_path):
    """A request for a class without any fit does not end in a set that silently lacks it."""
    jobs = Jobs(tmp_path, small_splits())
    folder, result = jobs.fit("fit", "c", 5, unit="per_image")  # the class has two source images
    assert not result.fitted
    with pytest.raises(GeneratorError, match="was not fitted on class 'c', of which 3 images"):
        jobs.draw("drawn", "c", [folder], 3, unit="per_image")


def test_series_and_sources_are_kept(tmp_path):
    """Equal patients of one fit are one patient of the row, and no real one; two fits share none."""
    extra = "patient_id=request.index // 2, source_id=np.array(self.ids)[:1].repeat(n)"
    jobs = Jobs(tmp_path, small_splits(), extra=extra)
    drawn = {}
    for name in ("a", "b"):
        fitted, _ = jobs.fit(f"fit-{name}", name, unit="per_class")
        drawn[name] = jobs.draw(name, name, [fitted], 6, unit="per_class")
    patients = drawn["a"].patient_id
    assert patients[::2].tolist() == patients[1::2].tolist()
    assert len(set(patients.tolist())) == 3
    assert not drawn["a"].patients() & (drawn["b"].patients() | jobs.splits.train.patients())
    first = jobs.splits.train.of_class(1).image_id[0]
    assert drawn["b"].source_id.tolist() == [first] * 6


def test_shares_add_up_over_chunks_and_fits(tmp_path):
    """Three chunks of two fits report one of two each: three of six; other remarks are those of the first."""
    extra = "card={'shares': {'there': [1, 2]}, 'first': int(request.index[0])}"
    jobs = Jobs(tmp_path, small_splits(), extra=extra)
    fitted = [jobs.fit(f"fit-{n}", "a", n, unit="per_image")[0] for n in (0, 1)]
    drawn = jobs.draw("drawn", "a", fitted, 10, unit="per_image")
    assert drawn.card == {"shares": {"there": [4, 8]}, "first": 0}


def test_a_joint_fit_may_draw_a_patient_in_several_classes(tmp_path):
    """The same synthetic patient in two classes has one id; without a series each image has its own."""
    jobs = Jobs(tmp_path, small_splits(), extra="patient_id=request.index")
    fitted, _ = jobs.fit("fit")
    a, b = (jobs.draw(name, name, [fitted], 3) for name in ("a", "b"))
    assert a.patient_id.tolist() == b.patient_id.tolist()
    (tmp_path / "single").mkdir()
    single = Jobs(tmp_path / "single", small_splits())
    drawn = single.draw("drawn", "a", [single.fit("fit")[0]], 3)
    assert drawn.patient_id.tolist() == drawn.image_id.tolist()


def test_samples_arrive_at_the_size_of_the_classifier(tmp_path):
    """Drawn at 32 px and read at 16 px, images are smoothed and not thinned out; masks stay binary."""
    extra = "mask=np.broadcast_to(np.where(np.arange(s) < s // 2, 255, 0).astype(np.uint8), (n, s, s))"
    jobs = Jobs(tmp_path, small_splits(32), extra=extra)
    fitted, _ = jobs.fit("fit")
    large = jobs.draw("large", "a", [fitted], 4, image_size=32)
    small = jobs.draw("small", "a", [fitted], 4, image_size=16)
    assert jobs.calls("fit")[0]["size"] == 32
    assert small.size == 16
    means = uniform_filter(large.image.astype(float), (0, 2, 2), mode="nearest")[:, 1::2, 1::2]
    errors = [np.abs(x - means)[:, 2:-2, 2:-2].mean() for x in (small.image, large.image[:, ::2, ::2])]
    assert errors[0] < errors[1] / 2
    assert set(np.unique(small.mask)) == {0, 255}
    assert (small.mask[:, :, :7] == 255).all()
    assert (small.mask[:, :, 9:] == 0).all()


def test_conditions_come_from_what_the_fit_learned_from(tmp_path):
    """Sources and views are those of the chosen still images of the class, each equally often."""
    splits = small_splits()
    clip = np.array(["", "film"] * 6)
    view = np.array([f"v{i}" for i in range(12)])
    train = replace(splits.train, clip=clip, view=view)
    jobs = Jobs(tmp_path, replace(splits, train=train), conditions=("label", "source_id", "view"))
    (tmp_path / "select").mkdir()
    np.save(tmp_path / "select" / "chosen.npy", np.array([6, 7, 8]))  # of b alone
    given = {"learn_from": "still_images", "inputs": {"selection": [tmp_path / "select"]}}
    fitted, _ = jobs.fit("fit", **given | {"inputs": dict(given["inputs"])})
    drawn = jobs.draw("drawn", "b", [fitted], 6, **given)
    pairs = set(zip(drawn.source_id.tolist(), drawn.view.tolist(), strict=True))
    assert pairs == {("train-00006", "v6"), ("train-00008", "v8")}
    assert drawn.classes == ("a", "b", "c")
    assert drawn.label.tolist() == [1] * 6
