"""PNGs of 16 bits with color or transparency, and other kinds of files that few programs write."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.errors import DataError
from benchmark.images.decoding import decode_bytes, decode_gray

GRAY, RGB, GRAY_ALPHA, RGBA = 0, 2, 4, 6  # color types of the PNG specification
RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)  # 12 bits of content
SHOWN = np.round(RAMP * (255 / 4095))


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(pixels: np.ndarray, color: int, *extra: bytes) -> bytes:
    """Return a PNG of 16 bits with (H, W) or (H, W, channels) pixels and further chunks."""
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in pixels)
    head = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 16, color, 0, 0, 0)
    body = [chunk(b"IHDR", head), *extra, chunk(b"IDAT", zlib.compress(lines)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def shown(content: bytes) -> np.ndarray:
    return np.asarray(decode_bytes(content, "a.png"))


def layers(*channels: np.ndarray | int) -> np.ndarray:
    return np.stack([np.broadcast_to(np.uint16(c), RAMP.shape) for c in channels], axis=-1)


@pytest.mark.parametrize(
    ("pixels", "color"),
    [
        (RAMP, GRAY), (layers(RAMP, RAMP, RAMP), RGB), (layers(RAMP, 65535), GRAY_ALPHA),
        (layers(RAMP, RAMP, RAMP, 65535), RGBA),
    ],
)  # fmt: skip
def test_opaque_gray_is_the_same_in_every_color_type(pixels: np.ndarray, color: int) -> None:
    """12 bits of gray in 16 show the same as gray, color, and with opaque transparency."""
    assert np.array_equal(shown(png(pixels, color)), SHOWN)


def test_color_becomes_luminance() -> None:
    """Red, green and blue of full strength weigh 0.299, 0.587, 0.114 (ITU-R 601)."""
    pixels = np.array([[[65535, 0, 0], [0, 65535, 0], [0, 0, 65535]]])
    assert shown(png(pixels, RGB)).tolist() == [[76, 150, 29]]


def test_the_strongest_channel_states_the_depth() -> None:
    """Blue of 12 bits stays as dark as blue is."""
    assert shown(png(np.array([[[0, 0, 4095], [0, 0, 0]]]), RGB)).tolist() == [[29, 0]]


@pytest.mark.parametrize("color", [GRAY_ALPHA, RGBA])
def test_transparency_is_black(color: int) -> None:
    """Half-transparent white is mid-gray; the color behind full transparency states no depth."""
    gray, alpha = np.array([[65535, 4095, 4095]]), np.array([[0, 32768, 65535]])
    pixels = np.stack([gray, alpha] if color == GRAY_ALPHA else [gray, gray, gray, alpha], axis=-1)
    assert shown(png(pixels, color)).tolist() == [[0, 128, 255]]


@pytest.mark.parametrize("color", [GRAY, RGB])
def test_a_transparent_color_is_black(color: int) -> None:
    """The value that a tRNS chunk names is black, in all of its 16 bits."""
    pixels = np.array([[0x1234, 0x1235, 0xFFFF]])
    names = struct.pack(">H", 0x1234) * (1 if color == GRAY else 3)
    content = png(pixels if color == GRAY else np.stack([pixels] * 3, axis=-1), color, chunk(b"tRNS", names))
    assert shown(content).tolist() == [[0, 18, 255]]


def test_orientation_is_applied() -> None:
    """Orientation 6 turns a 16-bit color PNG clockwise."""
    exif = Image.Exif()
    exif[0x0112] = 6
    content = png(layers(RAMP, RAMP, RAMP), RGB, chunk(b"eXIf", exif.tobytes()[6:]))
    assert np.array_equal(shown(content), np.rot90(SHOWN, -1))


@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_broken_files_are_refused(damage: str) -> None:
    """A file that is cut off or has a changed byte is refused as corrupt."""
    content = bytearray(png(layers(RAMP, RAMP, RAMP), RGB))
    middle = content.index(b"IDAT") + 40
    if damage == "cut":
        del content[len(content) // 2 :]
    else:
        content[middle] ^= 255
    with pytest.raises(DataError, match="corrupt or truncated"):
        shown(bytes(content))


def test_a_jpeg_of_12_bits_is_named(tmp_path: Path) -> None:
    """The error states the bits, not that the file is no JPEG."""
    buffer = BytesIO()
    Image.fromarray(SHOWN.astype(np.uint8)).save(buffer, "JPEG")
    content = bytearray(buffer.getvalue())
    content[content.index(b"\xff\xc0") + 4] = 12  # precision of the frame header
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(DataError, match="is a JPEG that cannot be read: cannot handle 12-bit layers"):
        decode_gray(tmp_path / "a.jpg")


@pytest.mark.parametrize("kind", ["apng", "gif"])
def test_an_animation_gives_its_first_frame(kind: str) -> None:
    """An animated PNG or GIF gives its first frame."""
    first, second = (Image.fromarray(a.astype(np.uint8)) for a in (SHOWN, 255 - SHOWN))
    buffer = BytesIO()
    first.save(buffer, "GIF" if kind == "gif" else "PNG", save_all=True, append_images=[second])
    assert np.array_equal(shown(buffer.getvalue()), SHOWN)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_fewer_than_8_bits_span_black_to_white(bits: int) -> None:
    """The largest value of 1, 2 and 4 bits is white."""
    head = struct.pack(">IIBBBBB", 8, 1, bits, GRAY, 0, 0, 0)
    line = np.packbits(np.repeat([0, 1], 4 * bits)).tobytes()  # four pixels of 0, four of the largest value
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" + line)) + chunk(b"IEND", b"")
    assert shown(b"\x89PNG\r\n\x1a\n" + body).tolist() == [[0] * 4 + [255] * 4]


@pytest.mark.parametrize("mode", ["I;16", "F", "RGB"])
def test_tiff_and_webp_are_refused_by_name(mode: str) -> None:
    """TIFF of any depth, and WebP, are not among the formats."""
    for kind in ("TIFF", "WEBP"):
        if kind == "WEBP" and mode != "RGB":
            continue
        buffer = BytesIO()
        Image.new(mode, (4, 4)).save(buffer, kind)
        with pytest.raises(DataError, match="is not a PNG, JPEG, GIF image"):
            shown(buffer.getvalue())
