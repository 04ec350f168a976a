"""The adapter of DICOM folders, on small generated files in every supported form."""

from __future__ import annotations

import csv
import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels import apply_windowing
from pydicom.sequence import Sequence
from pydicom.uid import (
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLosslessSV1,
    RLELossless,
    generate_uid,
)

from benchmark.datasets import dicom_folder
from benchmark.datasets._readers.dicom import read_header
from benchmark.datasets._readers.dicom_display import WINDOW
from benchmark.datasets._readers.dicom_pixels import read_pixels, window
from benchmark.datasets.dicom_folder import Params, fingerprint
from benchmark.errors import DataError
from benchmark.images.disjoint import prove_disjoint
from benchmark.images.image_set import ImageSet
from benchmark.protocol.load import load
from benchmark.tasks.schema import SplitRule
from support.samples import without_notes_on_small_tests

CLASSES = ("normal", "edema")
SECRET = "Mustermann^Erika"


def dicom(
    path: Path, stored: np.ndarray, *, bits: int = 12, syntax: Any = None, **attributes: Any
) -> Dataset:
    """Write a picture, (H, W) or (frames, H, W) of integers, as a DICOM file."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = generate_uid()
    data = Dataset()
    data.file_meta = meta
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    data.PatientID, data.PatientName, data.Modality = "anon-1", "Anonymous", "DX"
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.Rows, data.Columns = stored.shape[-2:]
    if stored.ndim == 3:
        data.NumberOfFrames = len(stored)
    data.BitsAllocated, data.BitsStored, data.HighBit = (8 if bits == 8 else 16), bits, bits - 1
    data.PixelRepresentation = int(stored.min() < 0)
    kind = {8: "u1"}.get(bits, "<i2" if stored.min() < 0 else "<u2")
    data.PixelData = stored.astype(kind).tobytes()
    data["PixelData"].VR = "OB" if bits == 8 else "OW"
    for name, value in attributes.items():
        setattr(data, name, value)
    if syntax == RLELossless:
        data.compress(RLELossless, generate_instance_uid=False)
    elif syntax is not None:
        meta.TransferSyntaxUID = syntax
    path.parent.mkdir(parents=True, exist_ok=True)
    data.save_as(path, enforce_file_format=True)
    return data


def shown(path: Path) -> np.ndarray:
    """Return a file's picture as (H, W) uint8."""
    return np.asarray(read_pixels(path))


def picture(seed: int, side: int = 24, high: int = 4095) -> np.ndarray:
    """Return a picture from black to white that differs from that of any other seed."""
    pixels = np.random.default_rng(seed).integers(0, high + 1, (side, side))
    pixels[0, 0], pixels[0, 1] = 0, high
    return pixels


def folder(root: Path, patients: int = 5) -> Path:
    """Write a subfolder per class, with one file per patient."""
    for c, name in enumerate(CLASSES):
        for k in range(patients):
            seed = 100 * c + k
            dicom(
                root / name / f"{k}.dcm",
                picture(seed),
                PatientID=f"anon-{seed}",
                WindowCenter=2048,
                WindowWidth=4096,
            )
    return root


def read(root: Path, size: int = 24, **params: Any) -> ImageSet:
    return dicom_folder.images(
        Params(root=root, **params), classes=CLASSES, image_size=size, reserve_per_class=1, seed=0
    )


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("syntax", [None, RLELossless])
def test_stored_bits_are_shown_from_black_to_white(tmp_path: Path, bits: int, syntax: Any) -> None:
    """Without a window the whole range of BitsStored maps linearly to 0..255, compressed or not."""
    high = 2**bits - 1
    stored = picture(0, high=high)
    dicom(tmp_path / "a.dcm", stored, bits=bits, syntax=syntax)
    assert np.array_equal(shown(tmp_path / "a.dcm"), np.round(stored * (255 / high)))


def test_signed_pixels_with_rescale_and_window(tmp_path: Path) -> None:
    """In Hounsfield units with intercept -24, the window 40/400 maps -160 to black and 240 to white."""
    stored = np.array([[-1000, -136], [64, 1000]])
    dicom(
        tmp_path / "a.dcm",
        stored,
        bits=16,
        RescaleSlope=1,
        RescaleIntercept=-24,
        WindowCenter=40,
        WindowWidth=400,
    )
    # PS3.3 C.11.2.1.2.1: ((40 - 39.5) / 399 + 0.5) * 255
    assert shown(tmp_path / "a.dcm").tolist() == [[0, 0], [128, 255]]


def test_the_first_of_several_windows_is_used(tmp_path: Path) -> None:
    """Of several windows in a file the first is used."""
    stored = picture(1)
    dicom(tmp_path / "a.dcm", stored, WindowCenter=[1000, 3000], WindowWidth=[500, 100])
    dicom(tmp_path / "b.dcm", stored, WindowCenter=1000, WindowWidth=500)
    assert np.array_equal(shown(tmp_path / "a.dcm"), shown(tmp_path / "b.dcm"))


@given(
    center=st.floats(-500, 4500),
    width=st.floats(2, 5000),
    function=st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
)
def test_windows_agree_with_pydicom(center: float, width: float, function: str) -> None:
    """The three functions of PS3.3 C.11.2 equal pydicom's on stored values, up to its scale of 0 to 4095."""
    data = Dataset()
    data.PhotometricInterpretation, data.BitsStored, data.PixelRepresentation = "MONOCHROME2", 12, 0
    data.WindowCenter, data.WindowWidth = f"{center:.10g}"[:16], f"{width:.10g}"[:16]
    data.VOILUTFunction = function
    values = np.arange(0, 4096, 7)
    ours = window(values, {name: data[name].value for name in WINDOW})
    assert np.allclose(ours * 4095, apply_windowing(values, data), atol=0.5)


def test_monochrome1_is_inverted(tmp_path: Path) -> None:
    """MONOCHROME1 stores white as 0."""
    stored = picture(2)
    dicom(tmp_path / "a.dcm", stored)
    dicom(tmp_path / "b.dcm", 4095 - stored, PhotometricInterpretation="MONOCHROME1")
    assert np.array_equal(shown(tmp_path / "a.dcm"), shown(tmp_path / "b.dcm"))


def lut(entries: np.ndarray, keyword: str) -> Sequence:
    """Return a lookup table for stored values from 0 on, 16 bits per entry."""
    item = Dataset()
    item.LUTDescriptor = [len(entries), 0, 16]
    item.add_new("LUTData", "US", entries.tolist())
    if keyword == "ModalityLUTSequence":
        item.ModalityLUTType = "OD"
    return Sequence([item])


@pytest.mark.parametrize("keyword", ["VOILUTSequence", "ModalityLUTSequence"])
def test_lookup_tables_are_applied(tmp_path: Path, keyword: str) -> None:
    """A table that inverts 0..255 maps the darkest stored value to white."""
    stored = picture(3, high=255)
    turned = lut(np.linspace(65535, 0, 256).astype(int), keyword)
    dicom(tmp_path / "a.dcm", stored, bits=8, **{keyword: turned})
    assert np.abs(shown(tmp_path / "a.dcm").astype(int) - (255 - stored)).max() <= 1


def test_color_becomes_luminance(tmp_path: Path) -> None:
    """RGB of an ultrasound screen becomes gray by ITU-R 601."""
    colors = np.random.default_rng(0).integers(0, 256, (16, 16, 3))
    dicom(
        tmp_path / "a.dcm", colors[..., 0], bits=8, SamplesPerPixel=3, PhotometricInterpretation="RGB",
        PlanarConfiguration=0, PixelData=colors.astype(np.uint8).tobytes(),
    )  # fmt: skip
    expected = np.round(colors @ np.array([0.299, 0.587, 0.114]))
    assert np.array_equal(shown(tmp_path / "a.dcm"), expected)


def test_subfolders_are_classes_and_splits_are_disjoint(tmp_path: Path) -> None:
    """Subfolders are classes, PatientID is the patient, and no patient is in two splits."""
    splits = load(
        dicom_folder, Params(root=folder(tmp_path)), classes=CLASSES, image_size=16,
        split=SplitRule(test=0.2, val=0.2, reserve=0.2), reserve_per_class=1, seed=0,
    )  # fmt: skip
    prove_disjoint(splits)
    assert sum(len(part) for part in splits.named().values()) == 10
    assert without_notes_on_small_tests(splits).notes == ()


def test_headers_fill_the_columns(tmp_path: Path) -> None:
    """Age, sex and view come from the header; ages below a year are fractions."""
    dicom(
        tmp_path / "normal/a", picture(0), PatientAge="058Y", PatientSex="F", ViewPosition="PA", PatientID="1"
    )
    dicom(
        tmp_path / "edema/b", picture(1), PatientAge="006M", PatientSex="M", ViewPosition="LL", PatientID="2"
    )
    images = read(tmp_path)
    assert images.sex is not None
    assert images.view is not None
    assert dict(zip(images.view.tolist(), images.sex.tolist(), strict=True)) == {
        "PA": "female",
        "LATERAL": "male",
    }
    assert images.age is not None
    assert sorted(images.age.tolist()) == [0.5, 58]


def test_identifying_attributes_are_never_copied(tmp_path: Path) -> None:
    """Names, ids and birth dates are in no column, id, note or card; a note warns with counts only."""
    birth = datetime.date(1961, 2, 3).strftime("%Y%m%d")
    elements: dict[str, Any] = {
        "PatientName": SECRET,
        "PatientID": "MRN4711",
        "PatientBirthDate": birth,
        "BurnedInAnnotation": "YES",
    }
    dicom(tmp_path / "normal" / f"{SECRET}.dcm", picture(0), **elements)
    dicom(tmp_path / "edema/b.dcm", picture(1), PatientID="anon-2")
    images = read(tmp_path)
    text = repr([getattr(images, name) for name in ("image_id", "patient_id", "site", "license", "card")])
    for secret in ("Mustermann", "Erika", "MRN4711", "4711", birth):
        assert secret not in text
    notes = images.card["notes"]
    assert any(note.startswith("BURNT-IN ANNOTATION: 1 of 2 files") for note in notes)
    assert any("PatientBirthDate 1, PatientID 1, PatientName 1" in note for note in notes)
    with pytest.raises(DataError, match="does not look de-identified"):
        read(tmp_path, identifiable="error")


@pytest.mark.parametrize("name", ["", "Anonymous", "ANON^0012", "patient_7", "0012", "Subject-3", "xxxx"])
def test_anonymous_names_do_not_warn(tmp_path: Path, name: str) -> None:
    """A placeholder that de-identification tools write for a name gives no warning."""
    dicom(tmp_path / "a.dcm", picture(0), PatientName=name)
    assert read_header(tmp_path / "a.dcm").identity == ()


@pytest.mark.parametrize("name", [SECRET, "Anders^Ann", "Doe^J", "Patientson^Pat"])
def test_names_warn(tmp_path: Path, name: str) -> None:
    """Real names give a warning, also those that begin like a placeholder."""
    dicom(tmp_path / "a.dcm", picture(0), PatientName=name)
    assert read_header(tmp_path / "a.dcm").identity == ("PatientName",)


def test_the_salt_changes_the_hashes_and_equal_ids_stay_equal(tmp_path: Path) -> None:
    """Files of one patient share the hash; another salt gives another hash."""
    dicom(tmp_path / "normal/a.dcm", picture(0), PatientID="7")
    dicom(tmp_path / "edema/b.dcm", picture(1), PatientID="7")
    assert len(read(tmp_path).patients()) == 1
    assert read(tmp_path).patients() != read(tmp_path, salt="x").patients()


def table(root: Path, rows: list[dict[str, str]]) -> None:
    with open(root / "metadata.csv", "w", newline="", encoding="utf-8-sig") as handle:
        writer = csv.DictWriter(handle, list(rows[0]), lineterminator="\r\n")
        writer.writeheader()
        writer.writerows(rows)


def test_a_table_gives_labels_splits_and_patients(tmp_path: Path) -> None:
    """The label, split and patient of metadata.csv are used, and the header fills in the rest."""
    rows = []
    for k, (label, split) in enumerate(
        zip(CLASSES * 4, ("train", "val", "test", "reserve") * 2, strict=True)
    ):
        dicom(tmp_path / f"{k}.dcm", picture(k), PatientSex="F")
        rows.append({"split": split, "label": label, "image": f"{k}.dcm", "patient_id": str(k), "view": "AP"})
    table(tmp_path, rows)
    images = read(tmp_path)
    assert images.split is not None
    assert images.split.tolist() == [row["split"] for row in rows]
    assert len(images.patients()) == 8
    assert set(images.view if images.view is not None else []) == {"AP"}
    rows[0]["image"] = "../outside.dcm"
    table(tmp_path, rows)
    with pytest.raises(DataError, match="points outside"):
        read(tmp_path)


def test_an_attribute_gives_labels(tmp_path: Path) -> None:
    """label_from reads the label from the header, and labels translates it."""
    dicom(tmp_path / "a.dcm", picture(0), StudyDescription="Thorax o.B.")
    dicom(tmp_path / "deep/b.dcm", picture(1), StudyDescription="Edema")
    images = read(tmp_path, label_from="StudyDescription", labels={"Thorax o.B.": "normal", "Edema": "edema"})
    assert images.counts() == {"normal": 1, "edema": 1}


def test_unknown_labels_are_refused_or_ignored(tmp_path: Path) -> None:
    """The error names a label that is not a class; ignore_labels leaves a note."""
    folder(tmp_path)
    dicom(tmp_path / "odema/x.dcm", picture(900))
    with pytest.raises(DataError, match=r"'odema'.*\n.*Did you mean 'edema'"):
        read(tmp_path)
    assert (
        "1 images left out, label 'odema' ignored" in read(tmp_path, ignore_labels=("odema",)).card["notes"]
    )


def test_of_several_frames_the_first_is_read(tmp_path: Path) -> None:
    """A cine loop gives its first frame with a note, or an error."""
    frames = np.stack([picture(0), picture(1)])
    dicom(tmp_path / "normal/a.dcm", frames, WindowCenter=2048, WindowWidth=4096)
    dicom(tmp_path / "edema/b.dcm", picture(0), WindowCenter=2048, WindowWidth=4096)
    images = read(tmp_path)
    assert np.array_equal(images.image[0], images.image[1])
    assert images.card["notes"] == ["1 files have several frames, the first is read"]
    with pytest.raises(DataError, match="has 2 frames"):
        read(tmp_path, frames="error")


def test_a_file_without_pixel_data_is_named(tmp_path: Path) -> None:
    """The error names a structured report among the pictures."""
    data = dicom(tmp_path / "normal/a.dcm", picture(0), Modality="SR")
    del data.PixelData
    data.save_as(tmp_path / "normal/a.dcm", enforce_file_format=True)
    with pytest.raises(DataError, match=r"a\.dcm: has no pixel data \(modality SR\)"):
        read_pixels(tmp_path / "normal/a.dcm")


def test_an_unreadable_compression_is_named(tmp_path: Path) -> None:
    """The error names the transfer syntax and the plug-ins that can read it."""
    from pydicom.pixels import get_decoder

    if get_decoder(JPEGLosslessSV1).is_available:
        pytest.skip("a plug-in for JPEG Lossless is installed here")
    data = dicom(tmp_path / "a.dcm", picture(0))
    data.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    from pydicom.encaps import encapsulate

    data.PixelData = encapsulate([b"\xff\xd8\xff\xd9"])
    data.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    with pytest.raises(DataError, match=r"JPEG Lossless.*\n.*pylibjpeg"):
        read_pixels(tmp_path / "a.dcm")


def test_implicit_syntax_is_read(tmp_path: Path) -> None:
    """DICOM's default transfer syntax is read."""
    stored = picture(4)
    dicom(tmp_path / "a.dcm", stored, syntax=ImplicitVRLittleEndian)
    assert shown(tmp_path / "a.dcm").shape == stored.shape


def test_broken_files_are_named(tmp_path: Path) -> None:
    """The error names an empty, foreign, truncated or constant file, or one of the wrong size."""
    dicom(tmp_path / "ok.dcm", picture(0))
    whole = (tmp_path / "ok.dcm").read_bytes()
    for content, problem in (
        (b"", "is empty"),
        (b"no dicom at all", "is not a DICOM file"),
        (whole[:-300], "cannot be read|corrupt or truncated"),
    ):
        (tmp_path / "bad.dcm").write_bytes(content)
        with pytest.raises(DataError, match=f"bad\\.dcm: .*({problem})"):
            read_pixels(tmp_path / "bad.dcm")
    dicom(tmp_path / "gray.dcm", np.full((8, 8), 7))
    with pytest.raises(DataError, match="one gray value"):
        read_pixels(tmp_path / "gray.dcm")
    dicom(tmp_path / "huge.dcm", picture(0), Rows=60000, Columns=60000)
    with pytest.raises(DataError, match="60000 x 60000 pixels"):
        read_pixels(tmp_path / "huge.dcm")
    with pytest.raises(DataError, match="no such file"):
        read_pixels(tmp_path / "none.dcm")


def test_one_instance_under_two_labels_is_refused(tmp_path: Path) -> None:
    """A repeated SOP instance is read once; under two labels it is an error."""
    folder(tmp_path)
    copy = (tmp_path / "normal/0.dcm").read_bytes()
    (tmp_path / "normal/again.dcm").write_bytes(copy)
    assert read(tmp_path).card["notes"] == ["1 files dropped: repeated SOPInstanceUID"]
    (tmp_path / "edema/again.dcm").write_bytes(copy)
    with pytest.raises(DataError, match="same SOP instance"):
        read(tmp_path)


def test_empty_and_missing_folders_are_refused(tmp_path: Path) -> None:
    """A missing or empty folder, one without DICOM, and files outside the class folders are refused."""
    with pytest.raises(DataError, match="no such folder"):
        read(tmp_path / "none")
    with pytest.raises(DataError, match="is empty"):
        read(tmp_path)
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(DataError, match="contains no DICOM file"):
        read(tmp_path)
    dicom(tmp_path / "a.dcm", picture(0))
    with pytest.raises(DataError, match="is in no subfolder"):
        read(tmp_path)


def test_the_fingerprint_follows_content_and_labels_not_the_place(tmp_path: Path) -> None:
    """Moving a folder leaves the fingerprint; changing a pixel or a file's class changes it."""
    folder(tmp_path / "one")
    (tmp_path / "one").rename(tmp_path / "two")
    before = fingerprint(Params(root=tmp_path / "two"))
    (tmp_path / "two").rename(tmp_path / "one")
    assert fingerprint(Params(root=tmp_path / "one")) == before
    (tmp_path / "one/normal/0.dcm").rename(tmp_path / "one/edema/90.dcm")
    moved = fingerprint(Params(root=tmp_path / "one"))
    assert moved != before
    path = tmp_path / "one/edema/90.dcm"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert fingerprint(Params(root=tmp_path / "one")) != moved


@pytest.mark.parametrize("text", ["NA", "UNKNOWN", "-"])
def test_missing_patient_id(tmp_path: Path, text: str) -> None:
    """A PatientID that stands for a missing one is refused like a blank one."""
    dicom(folder(tmp_path) / "edema/x.dcm", picture(9), PatientID=text)
    with pytest.raises(DataError, match=f"PatientID: is missing: '{text}'"):
        read(tmp_path)


def test_doubtful_ids_and_dates_are_counted_without_their_values(tmp_path: Path) -> None:
    """Notes are published, so they count ids and dates of studies, and name none."""
    root = folder(tmp_path)
    for k, (age, day) in enumerate([("060Y", "20100101"), ("050Y", "20120101")]):
        dicom(root / f"edema/x{k}.dcm", picture(900 + k), PatientID="ANON", PatientAge=age, StudyDate=day)
    dicom(root / "edema/y.dcm", picture(910), PatientID="ANON-0", StudyDate="spring")
    notes = read(root).card["notes"]
    assert "1 patient ids that may stand for unknown patients" in notes
    assert "1 patients older at an earlier study than at a later one" in notes


def test_unlisted_and_system_files(tmp_path: Path) -> None:
    """Copies of a system are skipped, and DICOM files in no record of a table are counted."""
    root = folder(tmp_path)
    dicom(root / "__MACOSX/normal/z.dcm", picture(901), PatientID="z")
    assert len(read(root)) == 10
    lines = ["image,label", *(f"{name}\\{k}.dcm,{name}" for name in CLASSES for k in range(4))]
    (root / "metadata.csv").write_text("\n".join(lines))
    images = read(root)
    assert len(images) == 8
    assert images.card["notes"] == ["2 DICOM files left out, in no record of the table"]
