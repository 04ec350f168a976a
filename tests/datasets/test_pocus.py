"""The adapter of the POCUS lung ultrasound dataset, on a tiny copy of its layout and on the real pack."""

from __future__ import annotations

import csv
import os
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from benchmark.datasets import pocus
from benchmark.datasets._readers.sector import crop, sector_box
from benchmark.datasets._readers.video import read_clip
from benchmark.datasets.pocus import Params, fingerprint
from benchmark.errors import DataError, UnknownNameError
from benchmark.images.disjoint import prove_disjoint
from benchmark.images.image_set import ImageSet
from benchmark.protocol.load import load
from benchmark.tasks.schema import SplitRule

CLASSES = ("covid19", "pneumonia", "healthy")
PACK = Path(os.environ.get("SYNTHTHORAX_PACKS", Path(__file__).parents[3] / "shared/data")) / "pocus"
needs_pack = pytest.mark.skipif(not PACK.is_dir(), reason=f"no real pack at {PACK}; set SYNTHTHORAX_PACKS")

LABELS = {"covid19": "COVID-19", "pneumonia": "Bacterial pneumonia", "healthy": "regular"}
HEADER = ["Filename", "Label", "License", "InThisRepo", "Type", "Probe", "Source ID", "Gender", "Age",
          "Patient ID / Name", "", "Current location"]  # fmt: skip
RowDict = dict[str, str]


def moving(seed: int, frames: int = 24, side: int = 64) -> np.ndarray:
    """Return (T, H, W) smooth moving noise that differs from that of any other seed."""
    rng = np.random.default_rng(seed)
    ground = rng.normal(size=(side // 8, side // 8 + frames))
    wide = np.kron(ground, np.ones((8, 8)))
    clip = np.stack([wide[:, 2 * t : 2 * t + side] for t in range(frames)])
    return np.round(128 + 50 * clip).clip(0, 255).astype(np.uint8)


def video(path: Path, frames: np.ndarray, rate: int = 9) -> Path:
    """Write frames as MPEG-4 (avi, mp4, mov), MPEG-1 (mpeg), or GIF."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".gif":
        first, *rest = [Image.fromarray(f) for f in frames]
        first.save(path, save_all=True, append_images=rest, duration=1000 // rate, loop=0)
        return path
    with av.open(str(path), "w") as container:
        codec = "mpeg1video" if path.suffix == ".mpeg" else "mpeg4"
        stream: Any = container.add_stream(codec, rate=Fraction(rate))
        stream.height, stream.width = frames.shape[1:]
        stream.pix_fmt, stream.bit_rate = "yuv420p", 4_000_000
        for frame in frames:
            container.mux(
                stream.encode(av.VideoFrame.from_ndarray(frame, format="gray").reformat(format="yuv420p"))
            )
        container.mux(stream.encode())
    return path


def dataset(root: Path, patients: int = 5) -> list[RowDict]:
    """Write n patients per class, each with a still and a clip of 24 frames, and return the records."""
    rows = []
    for c, (name, label) in enumerate(LABELS.items()):
        for k in range(patients):
            seed = 100 * c + k
            about = {"Label": label, "License": "CC BY 4.0", "InThisRepo": "Yes", "Probe": "convex",
                     "Patient ID / Name": str(900 + seed), "Gender": "w", "Age": "42"}  # fmt: skip
            still = root / f"pocus_images/convex/{name}_{k}.png"
            still.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(moving(1000 + seed)[0]).save(still)
            video(root / f"pocus_videos/convex/{name}_{k}.avi", moving(seed))
            rows += [{**about, "Filename": f"{name}_{k}", "Type": kind} for kind in ("image", "video")]
    table(root, rows)
    return rows


def table(root: Path, rows: list[RowDict]) -> None:
    with open(root / "dataset_metadata.csv", "w", newline="", encoding="utf-8-sig") as handle:
        writer = csv.DictWriter(handle, HEADER, restval="", lineterminator="\r\n")
        writer.writeheader()
        writer.writerows(rows)


def read(root: Path, classes: tuple[str, ...] = CLASSES, size: int = 32, **params: Any) -> ImageSet:
    return pocus.images(
        Params(root=root, **params), classes=classes, image_size=size, reserve_per_class=1, seed=0
    )


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset that no test changes."""
    root = tmp_path_factory.mktemp("pocus")
    dataset(root)
    return root


def test_stills_and_frames_carry_their_patient_and_clip(tiny: Path) -> None:
    """Of a clip of 24 frames at 9 Hz every third is read, with one clip and patient; a still has no clip."""
    images = read(tiny)
    assert images.clip is not None
    assert images.counts() == dict.fromkeys(CLASSES, 5 * (1 + 8))
    assert sum(images.clip == "") == 15
    assert set(Counter(images.clip[images.clip != ""].tolist()).values()) == {8}
    for clip in np.unique(images.clip[images.clip != ""]):
        assert len(set(images.patient_id[images.clip == clip])) == 1
    assert "pocus_videos/convex/covid19_0.avi#0021" in images.image_id
    assert set(images.sex if images.sex is not None else []) == {"female"}
    assert images.card["notes"] == []


def test_splits_divide_neither_patients_nor_clips(tiny: Path) -> None:
    """In five folds by patient every image is tested once, and no clip is in two splits."""
    tested: list[str] = []
    for fold in range(5):
        rule = SplitRule(folds=5, fold=fold, val=0.2, reserve=0.2)
        splits = load(
            pocus, Params(root=tiny), classes=CLASSES, image_size=16, split=rule, reserve_per_class=1, seed=0
        )
        prove_disjoint(splits)
        clips = [set(part.clip.tolist()) - {""} for part in splits.named().values() if part.clip is not None]
        assert sum(map(len, clips)) == len(set.union(*clips))
        tested += splits.test.image_id.tolist()
    assert sorted(tested) == sorted(read(tiny).image_id.tolist())


@pytest.mark.parametrize("ending", ["avi", "mp4", "mov", "gif", "mpeg"])
def test_frames_are_those_of_the_video(tmp_path: Path, ending: str) -> None:
    """In every container, frame k resembles frame 8 k of the written video."""
    written = moving(0, frames=40)
    clip = read_clip(video(tmp_path / f"a.{ending}", written, rate=25), hertz=3, most=4)
    step = 8 if ending != "gif" else int(clip.rate / 3)
    assert clip.number.tolist() == [step * k for k in range(4)]
    assert clip.decoded == 3 * step + 1
    assert np.abs(clip.frames.astype(int) - written[clip.number]).mean() < 6


@pytest.mark.parametrize(
    ("hertz", "most", "count"), [(3, 30, 8), (3, 5, 5), (100, 30, 24), (9, 30, 24), (1, 30, 3)]
)
def test_the_rate_and_the_cap_decide_how_many(tmp_path: Path, hertz: float, most: int, count: int) -> None:
    """Every int(9 / hertz)-th of 24 frames is read; a rate above the video's gives all frames."""
    path = video(tmp_path / "a.avi", moving(0))
    assert len(read_clip(path, hertz=hertz, most=most).frames) == count


def test_blank_frames_are_left_out(tmp_path: Path) -> None:
    """The black first frame of a clip that fades in is left out, since it shows nothing."""
    dataset(tmp_path)
    frames = moving(0)
    frames[0] = 0
    video(tmp_path / "pocus_videos/convex/covid19_0.avi", frames)
    images = read(tmp_path)
    assert images.card["notes"] == ["1 blank frames left out"]
    assert "pocus_videos/convex/covid19_0.avi#0000" not in images.image_id
    assert len(images) == 134


def broken(path: Path) -> int:
    """Write a video whose second half is damaged, and return the number of its frames."""
    frames = moving(3, frames=60, side=96)
    content = bytearray(video(path, frames, rate=6).read_bytes())
    middle = len(content) // 2
    content[middle : middle + 200] = np.random.default_rng(0).bytes(200)
    path.write_bytes(bytes(content))
    return len(frames)


def test_a_video_that_stops_midway_is_named_with_its_frame(tmp_path: Path) -> None:
    """By default the error states the last good frame; keep_decoded gives the frames before the fault."""
    count = broken(tmp_path / "a.avi")
    with pytest.raises(DataError, match=r"a\.avi: stops decoding after \d+ frames") as error:
        read_clip(tmp_path / "a.avi", hertz=6)
    clip = read_clip(tmp_path / "a.avi", hertz=6, most=100, broken="keep_decoded")
    assert f"after {clip.decoded} frames" in str(error.value)
    assert clip.fault
    assert 1 < len(clip.frames) < count
    written = moving(3, frames=60, side=96)
    assert np.abs(clip.frames.astype(int) - written[clip.number]).mean() < 6


def test_broken_videos_leave_a_note(tmp_path: Path) -> None:
    """With broken=keep_decoded the note names the file and the frame."""
    dataset(tmp_path)
    broken(tmp_path / "pocus_videos/convex/healthy_0.avi")
    with pytest.raises(DataError, match="healthy_0"):
        read(tmp_path)
    notes = read(tmp_path, broken="keep_decoded").card["notes"]
    assert any(note.startswith("1 videos stop midway") and "healthy_0.avi after " in note for note in notes)


@pytest.mark.parametrize("ending", ["gif", "mp4", "mpeg", "avi"])
def test_a_truncated_file_is_refused(tmp_path: Path, ending: str) -> None:
    """A broken download is an error, even if the decoder takes it for complete."""
    path = video(tmp_path / f"a.{ending}", moving(0), rate=25)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with pytest.raises(DataError, match=f"a.{ending}: stops decoding after"):
        read_clip(path, hertz=9, most=100)


def test_files_that_are_not_videos_are_named(tmp_path: Path) -> None:
    """An empty file, a text, a playlist and a missing file are errors, and no other file is opened."""
    other = video(tmp_path / "other.avi", moving(0))
    for content in (b"", b"no video", f"ffconcat version 1.0\nfile {other.name}\n".encode()):
        (tmp_path / "a.mp4").write_bytes(content)
        with pytest.raises(DataError, match=r"a\.mp4"):
            read_clip(tmp_path / "a.mp4")
    with pytest.raises(DataError, match="no such file"):
        read_clip(tmp_path / "none.mp4")


def sector(
    height: int, width: int, frames: int, overlays: bool
) -> tuple[np.ndarray, tuple[int, int, int, int]]:
    """Return a speckled sector with its apex above the picture and overlays beside it, and its bounding
    box."""
    y, x = np.mgrid[:height, :width]
    r, a = np.hypot(y + 40, x - width / 2), np.arctan2(x - width / 2, y + 40)
    inside = (r > 60) & (r < 0.8 * height + 40) & (np.abs(a) < 0.6)
    rng = np.random.default_rng(0)
    clip = np.where(inside, rng.rayleigh(60, (frames, height, width)), 0).clip(0, 255)
    if overlays:
        clip[:, 20 : height - 20 : 10, width - 8 : width - 4] = 220  # depth ticks
        clip[:, 5:17, 5:60][:, ::2, ::3] = 200  # letters
        clip[:, height - 30 : height - 6, 4:34] = 180  # a logo
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    return clip.astype(np.uint8), (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)


@pytest.mark.parametrize("shape", [(240, 400), (400, 260)])
@pytest.mark.parametrize("frames", [1, 6])
@pytest.mark.parametrize("overlays", [False, True])
def test_the_square_holds_the_sector_and_not_the_overlays(
    shape: tuple[int, int], frames: int, overlays: bool
) -> None:
    """For stills and clips with a scale, letters and a logo, the crop is the square around the sector."""
    clip, truth = sector(*shape, frames, overlays)
    box = sector_box(clip)
    assert box is not None
    left, top, right, bottom = box
    assert right - left == bottom - top
    side = max(truth[2] - truth[0], truth[3] - truth[1])
    assert abs((right - left) - side) <= 0.06 * side
    off = np.array([left + right, top + bottom]) / 2 - np.add(truth[:2], truth[2:]) / 2
    assert np.abs(off).max() <= 0.04 * side


def test_pictures_that_were_cropped_before_stay() -> None:
    """Pictures that Born et al. cropped to squares are not cropped again."""
    clip, _ = sector(300, 306, 6, False)
    assert sector_box(clip) is None
    assert sector_box(np.zeros((1, 50, 90), np.uint8)) is None


def test_a_cut_beyond_the_picture_is_black() -> None:
    """The part of a square beyond the picture is black."""
    cut = crop(np.full((4, 6), 9, np.uint8), (-1, -2, 7, 6))
    assert cut.shape == (8, 8)
    assert cut.sum() == 9 * 24
    assert cut[2:6, 1:7].min() == 9


def test_licenses_are_left_out_by_use(tmp_path: Path) -> None:
    """Research leaves out no license and no-derivatives; commercial use also leaves out non-commercial
    ones."""
    rows = dataset(tmp_path)
    for row, text in zip(
        rows[:5], ["CC BY-NC 4.0", "CC BY-NC -SA 4.0", "CC BY-ND 4.0", "None", "COVID-19 emergency license"],
        strict=True,
    ):  # fmt: skip
        row["License"] = text
    table(tmp_path, rows)
    research = read(tmp_path).card
    assert sum(research["licenses"].values()) == 27
    assert any("license does not allow research use: " in n and "None 1" in n for n in research["notes"])
    assert sum(read(tmp_path, use="commercial").card["licenses"].values()) == 25
    assert sum(read(tmp_path, also_licenses=("None",)).card["licenses"].values()) == 28


def test_a_class_that_licenses_take_away_is_an_error(tmp_path: Path) -> None:
    """A class without a usable license is an error, never silently dropped."""
    rows = dataset(tmp_path)
    for row in rows:
        if row["Label"] == "regular":
            row["License"] = "CC BY-NC 4.0"
    table(tmp_path, rows)
    with pytest.raises(DataError, match="none of the 10 files of class 'healthy' allows commercial use"):
        read(tmp_path, use="commercial")
    assert read(tmp_path).counts()["healthy"] == 45


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    """Linear probes, other labels, absent files and unlisted files are counted."""
    rows = dataset(tmp_path)
    base = rows[0]
    rows += [
        {**base, "Filename": "a", "Probe": "linear"},
        {**base, "Filename": "b", "Label": "Viral pneumonia"},
        {**base, "Filename": "c", "InThisRepo": "No", "License": "None", "Current location": "butterfly"},
    ]
    table(tmp_path, rows)
    Image.fromarray(moving(77)[0]).save(tmp_path / "pocus_images/convex/spare.png")
    assert read(tmp_path).card["notes"] == [
        "1 records left out, another probe: linear 1",
        "1 records left out, label not among the classes: Viral pneumonia 1",
        "1 records left out, not part of the public repository: butterfly 1",
        "1 files of this probe left out: in no record of the table",
    ]


def test_missing_files_are_an_error_above_a_stated_share(tmp_path: Path) -> None:
    """The error names the first missing files; allow_missing leaves them out with a note."""
    dataset(tmp_path)
    (tmp_path / "pocus_images/convex/healthy_1.png").unlink()
    with pytest.raises(DataError, match=r"lists 'pocus_images/healthy_1', which is not at"):
        read(tmp_path)
    (tmp_path / "pocus_videos/convex/healthy_2.avi").unlink()
    with pytest.raises(DataError, match=r"'pocus_images/healthy_1', .* 1 more of 30"):
        read(tmp_path, allow_missing=0.05)
    notes = read(tmp_path, allow_missing=0.07).card["notes"]
    assert notes == ["2 records left out, image file missing: pocus_images/healthy_1, pocus_videos/healthy_2"]


def test_one_picture_of_two_patients_makes_them_one(tmp_path: Path) -> None:
    """A still under two ids is read once; a frame in the clips of two patients joins the patients."""
    dataset(tmp_path)
    stills, clips = tmp_path / "pocus_images/convex", tmp_path / "pocus_videos/convex"
    Image.open(stills / "covid19_0.png").save(stills / "covid19_1.png", compress_level=1)
    video(clips / "pneumonia_2.mp4", moving(103))
    (clips / "pneumonia_2.avi").unlink()
    images = read(tmp_path)
    assert images.card["notes"] == [
        "1 files dropped, the same picture or video as another: pocus_images/convex/covid19_1.png",
        "ids joined, one patient each: 900 = 901, 1002 = 1003",
    ]
    assert len(images.patients()) == 13


def test_a_file_listed_twice_is_read_once(tmp_path: Path) -> None:
    """A second record of a file with another patient joins the two patients."""
    rows = dataset(tmp_path)
    table(tmp_path, [*rows, {**rows[1], "Patient ID / Name": "905"}])
    images = read(tmp_path)
    assert len(images) == 135
    assert "ids joined, one patient each: 900 = 905" in images.card["notes"]


def test_unknown_classes_and_empty_classes_are_refused(tiny: Path) -> None:
    """A misspelled class and a class without records are refused."""
    with pytest.raises(UnknownNameError, match=r"Did you mean 'pneumonia'"):
        read(tiny, classes=("pneumonie", "healthy"))
    with pytest.raises(
        DataError, match=r"no file of class 'viral_pneumonia' \(viral pneumonia\) with probe convex"
    ):
        read(tiny, classes=("viral_pneumonia", "healthy"))


def test_names_do_not_leave_the_folder(tmp_path: Path) -> None:
    """A file name or a link that leads out of the root is not read."""
    root = tmp_path / "data"
    rows = dataset(root)
    outside = tmp_path / "outside.png"
    Image.fromarray(moving(5)[0]).save(outside)
    table(root, [*rows, {**rows[0], "Filename": "../../../outside"}])
    with pytest.raises(DataError, match=r"points outside|is not at"):
        read(root)
    table(root, rows)
    (root / "pocus_images/convex/covid19_9.png").symlink_to(outside)
    with pytest.raises(DataError, match="points outside"):
        read(root)


def test_the_fingerprint_follows_what_is_read(tmp_path: Path) -> None:
    """Another byte or license changes the fingerprint; a record that is left out does not."""
    rows = dataset(tmp_path)
    before = fingerprint(Params(root=tmp_path))
    table(tmp_path, [*rows, {**rows[0], "Filename": "x", "Probe": "linear"}])
    assert fingerprint(Params(root=tmp_path)) == before
    assert fingerprint(Params(root=tmp_path, also_licenses=("None",))) == before
    video(tmp_path / "pocus_videos/convex/healthy_0.avi", moving(999))
    assert fingerprint(Params(root=tmp_path)) != before


@needs_pack
@pytest.mark.slow
def test_the_real_pack_has_the_counts_of_its_table() -> None:
    """Files, patients and frames at 3 Hz agree with the counts of the pack's README, with at most 30 frames a
    video.

    One pneumonia still of patient 198 is the same picture as one of 192 and is read once (11 - 1).
    """
    images = read(PACK)
    assert images.clip is not None
    stills, frames = images.select(images.clip == ""), images.select(images.clip != "")
    assert stills.counts() == {"covid19": 3, "pneumonia": 10, "healthy": 8}
    assert frames.counts() == {"covid19": 318, "pneumonia": 333, "healthy": 948}  # one of 949 is blank
    assert images.card["videos"] == 15 + 27 + 42
    assert len(images.patients()) == 66 - 9  # ids of one person


@needs_pack
def test_the_real_pneumonia_files_have_the_counts_of_their_table() -> None:
    """27 videos and 11 stills are read, of which two are one picture; the ids of one person are joined."""
    images = read(PACK, classes=("pneumonia",))
    assert images.counts() == {"pneumonia": 333 + 10}
    assert images.card["videos"] == 27
    assert any("192 = 198 = 204 = 205" in note for note in images.card["notes"])


@needs_pack
def test_the_real_pack_forbids_commercial_use() -> None:
    """All pneumonia files are non-commercial, so commercial use leaves the class empty."""
    with pytest.raises(DataError, match="none of the 38 files of class 'pneumonia' allows commercial use"):
        read(PACK, use="commercial")
