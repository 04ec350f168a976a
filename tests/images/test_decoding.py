"""Decoding: every supported format gives its gray values, every other a clear error."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.errors import DataError
from benchmark.images.decoding import MAX_PIXELS, decode_gray, inside, read_gray, to_square

GRADIENT = np.linspace(0, 255, 64, dtype=np.uint8)[None, :].repeat(48, axis=0)


def saved(path: Path, array: np.ndarray, mode: str | None = None, **options: object) -> Path:
    """Write an array as an image file in a mode."""
    picture = Image.fromarray(array)
    (picture.convert(mode) if mode else picture).save(path, **options)
    return path


def png_header(path: Path, width: int, height: int) -> Path:
    """Write a PNG that declares this many pixels and has nearly none."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P"])
def test_opaque_gray_reads_the_same_in_every_mode(tmp_path: Path, mode: str) -> None:
    """A gray gradient keeps its values in every PNG mode."""
    path = saved(tmp_path / "a.png", GRADIENT, mode)
    assert np.array_equal(np.asarray(decode_gray(path)), GRADIENT)


def test_two_level_image(tmp_path: Path) -> None:
    """Mode 1 reads as black and white."""
    path = saved(tmp_path / "a.png", (GRADIENT > 127).astype(np.uint8) * 255, "1")
    assert set(np.unique(decode_gray(path))) == {0, 255}


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpeg_is_close(tmp_path: Path, mode: str) -> None:
    """A gray, color or CMYK JPEG of the gradient differs only by its compression, without inversion."""
    path = saved(tmp_path / "a.jpg", GRADIENT, mode, quality=95)
    assert np.abs(np.asarray(decode_gray(path)).astype(int) - GRADIENT).max() <= 6


def test_gif_gives_its_first_frame(tmp_path: Path) -> None:
    """An animated GIF gives its first frame."""
    first, second = Image.fromarray(GRADIENT), Image.fromarray(255 - GRADIENT)
    first.save(tmp_path / "a.gif", save_all=True, append_images=[second])
    assert np.array_equal(np.asarray(decode_gray(tmp_path / "a.gif")), GRADIENT)


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_transparency_blends_with_black(tmp_path: Path, mode: str) -> None:
    """Half-transparent white is mid-gray; transparent white is black."""
    picture = Image.new("RGBA", (4, 4), (255, 255, 255, 255))
    picture.putpixel((0, 0), (255, 255, 255, 0))
    picture.putpixel((1, 0), (255, 255, 255, 128))
    picture.convert(mode).save(tmp_path / "a.png")
    values = np.asarray(decode_gray(tmp_path / "a.png"))
    assert values[0].tolist() == [0, 128, 255, 255]


def test_transparent_palette_entry_is_black(tmp_path: Path) -> None:
    """The transparent color of a palette reads as black, not as its hidden color."""
    picture = Image.fromarray(np.array([[0, 1], [1, 1]], np.uint8), "P")
    picture.putpalette([200, 200, 200, 90, 90, 90])
    picture.save(tmp_path / "a.png", transparency=0)
    assert np.asarray(decode_gray(tmp_path / "a.png")).tolist() == [[0, 90], [90, 90]]


@pytest.mark.parametrize(
    ("top", "middle"), [(255, 128), (1023, 512), (4095, 2048), (16383, 8192), (65535, 32768)]
)
def test_16_bit_scales_by_its_depth(tmp_path: Path, top: int, middle: int) -> None:
    """The smallest depth of 8, 10, 12, 14, 16 bits that holds the maximum maps to 255, its half to 128."""
    values = np.full((8, 8), middle, np.uint16)
    values[0], values[1] = 0, top
    path = saved(tmp_path / "a.png", values)
    assert np.asarray(decode_gray(path))[:3, 0].tolist() == [0, 255, 128]


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    """An image with orientation 6 is rotated by 90 degrees clockwise."""
    exif = Image.Exif()
    exif[0x0112] = 6
    path = saved(tmp_path / "a.png", GRADIENT, exif=exif)
    assert np.array_equal(np.asarray(decode_gray(path)), np.rot90(GRADIENT, -1))


def test_stretch_fills_and_pad_adds_black(tmp_path: Path) -> None:
    """For a wide image, stretch fills the square, and pad adds black only above and below."""
    path = saved(
        tmp_path / "a.png", np.where(np.arange(80) % 2, 255, 200).astype(np.uint8)[None].repeat(40, 0)
    )
    assert read_gray(path, 32).min() > 150
    padded = read_gray(path, 32, fit="pad")
    assert (padded[:8] == 0).all()
    assert (padded[-8:] == 0).all()
    assert padded[9:-9].min() > 150


def test_reduction_does_not_alias() -> None:
    """One-pixel stripes become an even gray without moire."""
    stripes = Image.fromarray(np.where(np.arange(512) % 2, 255, 0).astype(np.uint8)[None].repeat(512, 0))
    small = to_square(stripes, 32)
    assert small.shape == (32, 32)
    assert small.dtype == np.uint8
    assert np.abs(small.astype(int) - 127.5).max() < 10


def test_large_jpeg_is_reduced_in_decoding(tmp_path: Path) -> None:
    """A JPEG of many times the size is decoded smaller, within two gray levels of the full decoding.

    An image of less than three times the size is decoded in full.
    """
    rows, columns = np.mgrid[:600, :800]
    smooth = 128 + 60 * np.sin(rows / 40) + 60 * np.cos(columns / 55)
    color = np.stack([smooth, smooth * 0.8, smooth * 0.6], axis=2).astype(np.uint8)
    for picture, mode in ((smooth.astype(np.uint8), "gray"), (color, "color")):
        path = saved(tmp_path / f"{mode}.jpg", picture, quality=92)
        assert decode_gray(path, at_least=96).size == (200, 150)
        fast, full = read_gray(path, 32), to_square(decode_gray(path), 32)
        assert np.abs(fast.astype(int) - full).max() <= 2
        assert decode_gray(path, at_least=3 * 224).size == (800, 600)
        assert np.array_equal(read_gray(path, 224), to_square(decode_gray(path), 224))


def test_reduced_jpeg_keeps_its_orientation(tmp_path: Path) -> None:
    """EXIF orientation applies at a reduced size too."""
    exif = Image.Exif()
    exif[0x0112] = 6
    large = GRADIENT.repeat(16, 0).repeat(16, 1)
    path = saved(tmp_path / "a.jpg", large, exif=exif, quality=95)
    expected = to_square(Image.fromarray(np.rot90(large, -1)), 32)
    assert np.abs(read_gray(path, 32).astype(int) - expected).max() <= 4


def broken_files(folder: Path) -> dict[str, tuple[Path, str]]:
    """Return one file of every invalid kind, with the expected words of its error."""
    good = saved(folder / "good.png", np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8))
    data = good.read_bytes()
    jpeg = saved(folder / "good.jpg", GRADIENT.repeat(8, 0)).read_bytes()
    middle = data.index(b"IDAT") + 40
    contents = {
        "empty.png": (b"", "is empty"),
        "truncated.png": (data[: len(data) // 2], "truncated"),
        "truncated.jpg": (jpeg[: len(jpeg) // 2], "truncated"),
        "flipped.png": (data[:middle] + bytes(64) + data[middle + 64 :], "corrupt"),
        "text.png": (b"not a picture at all", "is not a PNG, JPEG, GIF image"),
        "pickle.png": (b"\x80\x04\x95\x00\x00.", "is not a PNG, JPEG, GIF image"),
    }
    for name, (body, _) in contents.items():
        (folder / name).write_bytes(body)
    files = {name: (folder / name, words) for name, (_, words) in contents.items()}
    (folder / "folder.png").mkdir()
    files["folder"] = (folder / "folder.png", "no such file")
    files["absent"] = (folder / "absent.png", "no such file")
    files["constant"] = (saved(folder / "constant.png", np.full((9, 9), 7, np.uint8)), "one gray value (7)")
    files["large"] = (png_header(folder / "large.png", 9000, 9000), "9000 x 9000 pixels")
    files["gigapixel"] = (
        png_header(folder / "giga.png", 60000, 60000),
        "pixels, expected at most 50 million",
    )
    files["tiff"] = (saved(folder / "a.tif", GRADIENT), "is not a PNG, JPEG, GIF image")
    return files


BROKEN = [
    "empty.png", "truncated.png", "truncated.jpg", "flipped.png", "text.png", "pickle.png", "folder",
    "absent", "constant", "large", "gigapixel", "tiff",
]  # fmt: skip


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_file_is_refused(tmp_path: Path, kind: str) -> None:
    """An unreadable image gives one error with its path, the fault and a remedy."""
    path, words = broken_files(tmp_path)[kind]
    with pytest.raises(DataError) as caught:
        read_gray(path, 32)
    assert caught.value.where == str(path)
    assert words in caught.value.problem
    assert caught.value.remedy


def test_gigapixel_is_refused_from_its_header(tmp_path: Path) -> None:
    """A pixel count just above the limit is refused without decoding."""
    side = int(MAX_PIXELS**0.5) + 1
    with pytest.raises(DataError, match="expected at most 50 million"):
        decode_gray(png_header(tmp_path / "a.png", side, side))


@pytest.mark.parametrize("name", ["../secret.png", "/etc/hosts", "", "link.png", "a\0b.png", "sub"])
def test_names_outside_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    """A table cannot name a file outside its folder, not even through a symbolic link."""
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    saved(tmp_path / "secret.png", GRADIENT)
    (root / "link.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(DataError) as caught:
        inside(root, name, "table: line 2")
    assert caught.value.where == "table: line 2"
    assert str(root) in caught.value.remedy


def test_links_inside_the_folder_are_followed(tmp_path: Path) -> None:
    """A symbolic link to a file of the same folder is accepted."""
    saved(tmp_path / "a.png", GRADIENT)
    (tmp_path / "b.png").symlink_to(tmp_path / "a.png")
    assert read_gray(inside(tmp_path, "b.png", "here"), 16).shape == (16, 16)
