"""Every kind of pixels that a file may hold comes in as the RGB it means, or is refused in one line."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from restoration_core.errors import InputError
from restoration_core.images import load_image

SIDE = 8
GREY = (np.arange(SIDE * SIDE, dtype=np.uint8) * 4).reshape(SIDE, SIDE)
RGB = np.stack([GREY, GREY.T, 255 - GREY], axis=-1)


def loaded(content: bytes, tmp_path: Path) -> np.ndarray:
    """The picture that a file's bytes give, ``(H, W, 3)`` in 0..255."""
    path = tmp_path / "a.png"  # the content decides, not the ending
    path.write_bytes(content)
    return np.rint(load_image(path, SIDE).transpose(1, 2, 0) * 255).astype(int)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def pgm(most: int, plain: bool) -> bytes:
    values = np.rint(GREY.astype(float) / 255 * most).astype(int)
    if plain:
        return b"P2\n# by hand\n%d %d\n%d\n" % (SIDE, SIDE, most) + " ".join(map(str, values.ravel())).encode()
    kind = ">u2" if most > 255 else "u1"
    return b"P5 %d %d %d\n" % (SIDE, SIDE, most) + values.astype(kind).tobytes()


@pytest.mark.parametrize("plain", [False, True], ids=["binary", "plain"])
@pytest.mark.parametrize("most", [255, 1023, 4095, 40_000, 65_535])
def test_a_pgm_of_any_depth_is_scaled_by_its_own_largest_value(tmp_path: Path, most: int, plain: bool) -> None:
    np.testing.assert_array_equal(loaded(pgm(most, plain), tmp_path), GREY[..., None].repeat(3, axis=2))


def tiff(values: bytes, bits: int, photometric: int, order: str = "<") -> bytes:
    """A grey TIFF of one strip with a depth that Pillow itself does not write."""
    tags = [
        (256, 3, SIDE),
        (257, 3, SIDE),
        (258, 3, bits),
        (259, 3, 1),
        (262, 3, photometric),
        (273, 4, 8),
        (277, 3, 1),
        (278, 3, SIDE),
        (279, 4, len(values)),
    ]
    entries = b"".join(
        struct.pack(f"{order}HHI", tag, kind, 1)
        + (struct.pack(f"{order}HH", value, 0) if kind == 3 else struct.pack(f"{order}I", value))
        for tag, kind, value in tags
    )
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8 + len(values))
    return head + values + struct.pack(f"{order}H", len(tags)) + entries + struct.pack(f"{order}I", 0)


def packed_12_bits(values: np.ndarray) -> bytes:
    bits = "".join(f"{value:012b}" for value in values.ravel())
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(encoded(Image.fromarray(GREY.astype(np.uint16) * 257), "PNG"), id="png 16 bits"),
        pytest.param(encoded(Image.fromarray(GREY.astype(np.uint16) * 257), "TIFF"), id="tiff 16 bits"),
        pytest.param(tiff((GREY.astype(">u2") * 257).tobytes(), 16, 1, ">"), id="tiff 16 bits, big end first"),
        pytest.param(tiff(((255 - GREY).astype("<u2") * 257).tobytes(), 16, 0), id="tiff 16 bits, 0 is white"),
        pytest.param(tiff(packed_12_bits(np.rint(GREY / 255 * 4095).astype(int)), 12, 1), id="tiff 12 bits"),
        pytest.param(encoded(Image.fromarray(GREY), "TIFF", compression="tiff_lzw"), id="tiff 8 bits, packed"),
        pytest.param(encoded(Image.fromarray(GREY).convert("LA"), "PNG"), id="grey with alpha"),
        pytest.param(encoded(Image.fromarray(GREY), "GIF"), id="gif"),
        pytest.param(encoded(Image.fromarray(GREY), "BMP"), id="bmp"),
    ],
)
def test_grey_of_any_depth_is_the_same_picture(tmp_path: Path, content: bytes) -> None:
    np.testing.assert_array_equal(loaded(content, tmp_path), GREY[..., None].repeat(3, axis=2))


def test_a_transparent_shade_of_16_bits_is_white(tmp_path: Path) -> None:
    content = encoded(Image.fromarray(GREY.astype(np.uint16) * 257), "PNG", transparency=0)
    expected = np.where(GREY == 0, 255, GREY)
    np.testing.assert_array_equal(loaded(content, tmp_path)[..., 0], expected)


COLOURS = Image.fromarray(RGB)


@pytest.mark.parametrize(
    ("content", "off"),
    [
        pytest.param(encoded(COLOURS, "PNG"), 0, id="png"),
        pytest.param(encoded(COLOURS.convert("RGBA"), "PNG"), 0, id="rgba"),
        pytest.param(encoded(COLOURS, "PPM"), 0, id="ppm"),
        pytest.param(b"P6 8 8 65535\n" + (RGB.astype(">u2") * 257).tobytes(), 0, id="ppm 16 bits"),
        pytest.param(encoded(COLOURS, "BMP"), 0, id="bmp"),
        pytest.param(encoded(COLOURS, "WEBP", lossless=True), 0, id="webp"),
        pytest.param(encoded(COLOURS, "TIFF", compression="tiff_deflate"), 0, id="tiff"),
        pytest.param(encoded(COLOURS.convert("CMYK"), "TIFF"), 1, id="cmyk"),
        pytest.param(encoded(COLOURS.convert("CMYK"), "JPEG", quality=100), 12, id="cmyk jpeg"),
        pytest.param(encoded(COLOURS, "JPEG", quality=100, subsampling=0), 6, id="jpeg"),
        pytest.param(encoded(COLOURS.convert("YCbCr"), "TIFF"), 3, id="ycbcr"),
        pytest.param(encoded(COLOURS.quantize(256, dither=Image.Dither.NONE), "PNG"), 12, id="palette"),
    ],
)
def test_colours_of_any_kind_are_the_same_picture(tmp_path: Path, content: bytes, off: int) -> None:
    assert np.abs(loaded(content, tmp_path) - RGB).max() <= off


def test_lab_is_turned_into_rgb(tmp_path: Path) -> None:
    """L 0..100 as 0..255, a and b around 128 (TIFF's 8 bits): greys of known lightness, and red of sRGB."""
    pixels = np.zeros((SIDE, SIDE, 3), np.uint8)
    pixels[:4] = [round(53.585 / 100 * 255), 0, 0]  # a and b are signed bytes: L* of sRGB 128 under D50
    pixels[4:] = [round(54.29 / 100 * 255), 81, 70]
    found = loaded(encoded(Image.frombytes("LAB", (SIDE, SIDE), pixels.tobytes()), "TIFF"), tmp_path)
    assert np.abs(found[:4] - 128).max() <= 2
    assert np.abs(found[4:] - [255, 0, 0]).max() <= 6


def test_the_first_frame_of_an_animation_is_taken(tmp_path: Path) -> None:
    other = Image.fromarray(255 - RGB)
    for kind in ("PNG", "WEBP"):
        content = encoded(COLOURS, kind, save_all=True, append_images=[other], lossless=True)
        np.testing.assert_array_equal(loaded(content, tmp_path), RGB)
    shades = Image.fromarray(GREY)
    content = encoded(shades, "GIF", save_all=True, append_images=[Image.fromarray(255 - GREY)])
    np.testing.assert_array_equal(loaded(content, tmp_path)[..., 0], GREY)
    content = encoded(COLOURS, "MPO", save_all=True, append_images=[other], quality=100, subsampling=0)
    assert np.abs(loaded(content, tmp_path) - RGB).max() <= 6


TURNED: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: np.fliplr,
    3: lambda pixels: np.rot90(pixels, 2),
    4: np.flipud,
    5: lambda pixels: np.rot90(np.fliplr(pixels)),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: np.rot90(np.fliplr(pixels), -1),
    8: np.rot90,
}


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", TURNED)
def test_every_orientation_is_put_upright_in_every_format(tmp_path: Path, kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options: dict[str, object] = {"lossless": True} if kind == "WEBP" else {}
    if kind == "TIFF":
        tags = TiffImagePlugin.ImageFileDirectory_v2()
        tags[0x0112] = orientation
        options["tiffinfo"] = tags
    else:
        options["exif"] = exif
    np.testing.assert_array_equal(loaded(encoded(COLOURS, kind, **options), tmp_path), TURNED[orientation](RGB))


def test_a_picture_with_corrupt_exif_is_loaded_as_it_lies(tmp_path: Path) -> None:
    content = encoded(COLOURS, "PNG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\xff" * 9)
    np.testing.assert_array_equal(loaded(content, tmp_path), RGB)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(encoded(Image.fromarray(GREY.astype(np.float32)), "TIFF"), "no known scale", id="float"),
        pytest.param(encoded(Image.fromarray(GREY.astype(np.int32)), "TIFF"), "no known scale", id="32 bits"),
        pytest.param(b"Pf\n8 8\n-1.0\n" + bytes(4 * 64), "no known scale", id="pfm"),
        pytest.param(b"P6 0 0 255\n", "not a picture", id="no pixel"),
        pytest.param(encoded(COLOURS, "PNG")[:60], "damaged picture", id="cut"),
        pytest.param(encoded(COLOURS, "TIFF", compression="tiff_lzw")[:100], "picture", id="cut tiff"),
        pytest.param(b"P5 8 8 99999\n", "picture", id="impossible depth"),
        pytest.param(b"P6 99999 99999 255\n", "too large", id="bomb"),
        pytest.param(b"GIF89a" + struct.pack("<HH", 65535, 65535) + bytes(8), "too large|not a picture", id="gif"),
        pytest.param(b"\xff\xd8\xff", "not a picture|damaged", id="jpeg of three bytes"),
        pytest.param(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "not a picture", id="pointer"),
    ],
)
def test_what_has_no_known_colours_is_refused_in_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        loaded(content, tmp_path)
    assert "\n" not in str(caught.value)
    assert "a.png" in str(caught.value)
