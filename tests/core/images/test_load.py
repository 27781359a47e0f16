from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from restoration_core.errors import InputError
from restoration_core.images import decode_png, encode_png, load_image, sample_names
from restoration_core.images import load as load_module


def stripes(width: int, height: int) -> np.ndarray:
    """Red rises from left to right, green from top to bottom."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0] = np.linspace(0, 255, width).astype(np.uint8)[None, :]
    pixels[..., 1] = np.linspace(0, 255, height).astype(np.uint8)[:, None]
    return pixels


def save(path: Path, pixels: np.ndarray, **options: object) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path


def test_a_square_picture_at_its_own_size_is_its_pixels(tmp_path: Path) -> None:
    pixels = stripes(8, 8)
    image = load_image(save(tmp_path / "a.png", pixels), 8)
    assert image.dtype == np.float32
    assert image.flags["C_CONTIGUOUS"]
    np.testing.assert_array_equal(image, pixels.transpose(2, 0, 1).astype(np.float32) / np.float32(255))


def test_the_central_square_is_taken(tmp_path: Path) -> None:
    pixels = stripes(40, 10)
    np.testing.assert_array_equal(
        load_image(save(tmp_path / "a.png", pixels), 10),
        load_image(save(tmp_path / "b.png", pixels[:, 15:25]), 10),
    )


def test_shrinking_averages_instead_of_picking_pixels(tmp_path: Path) -> None:
    checkerboard = np.indices((64, 64)).sum(0) % 2 * np.uint8(255)
    image = load_image(save(tmp_path / "a.png", np.repeat(checkerboard[..., None], 3, 2).astype(np.uint8)), 8)
    np.testing.assert_allclose(image[:, 1:-1, 1:-1], 0.5, atol=0.02)


def test_a_loaded_picture_survives_the_png_unchanged() -> None:
    image = load_image("sample:coffee", 48)
    np.testing.assert_array_equal(decode_png(encode_png(image)), image)


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    pixels = stripes(16, 16)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90 degrees clockwise to see it upright
    turned = load_image(save(tmp_path / "a.png", pixels, exif=exif), 16)
    upright = load_image(save(tmp_path / "b.png", np.rot90(pixels, -1).copy()), 16)
    np.testing.assert_array_equal(turned, upright)


def test_transparency_is_laid_over_white(tmp_path: Path) -> None:
    pixels = np.zeros((4, 4, 4), np.uint8)
    pixels[:2, :, 3] = 255
    image = load_image(save(tmp_path / "a.png", pixels), 4)
    assert (image[:, :2] == 0).all()
    assert (image[:, 2:] == 1).all()


def test_grey_of_8_and_of_16_bits_become_equal_channels(tmp_path: Path) -> None:
    grey = (np.arange(16, dtype=np.uint8) * 16).reshape(4, 4)
    eight = load_image(save(tmp_path / "a.png", grey), 4)
    sixteen = load_image(save(tmp_path / "b.png", grey.astype(np.uint16) * 257), 4)
    np.testing.assert_array_equal(eight, sixteen)
    np.testing.assert_array_equal(eight[0], eight[2])
    np.testing.assert_array_equal(eight[0] * 255, grey)


@pytest.mark.parametrize("mode", ["P", "CMYK", "L", "LA", "1"])
def test_other_modes_become_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    Image.fromarray(stripes(8, 8)).convert(mode).save(path)
    assert load_image(path, 8).shape == (3, 8, 8)


def test_every_sample_picture_opens_and_has_contrast() -> None:
    assert sample_names() == ["astronaut", "chelsea", "china", "coffee", "flower", "rocket"]
    for name in sample_names():
        assert load_image(f"sample:{name}", 64).std() > 0.1


def test_a_huge_picture_is_refused_before_it_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "a.png", stripes(40, 30))
    path.write_bytes(path.read_bytes()[:100])  # decoding would fail: the header is enough for the answer
    monkeypatch.setattr(load_module, "MAX_PIXELS", 1199)
    with pytest.raises(InputError, match="too large, 40 x 30 pixels"):
        load_image(path, 8)


def test_a_decompression_bomb_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "bomb.ppm"
    path.write_bytes(b"P6 30000 30000 255\n")  # a header alone: nothing behind it is to be read
    with pytest.raises(InputError, match=r"bomb\.ppm: too large .*; valid: at most 64 million pixels") as caught:
        load_image(path, 8)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"), [(b"", "not a picture"), (b"hello" * 50, "not a picture"), (None, "damaged picture")]
)
def test_a_damaged_file_is_refused_in_one_line(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "a.png"
    if content is None:
        noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        content = save(path, noise).read_bytes()[:4000]
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        load_image(path, 8)
    assert "\n" not in str(caught.value)


def test_missing_files_folders_unknown_samples_and_sizes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such picture"):
        load_image(tmp_path / "none.png", 8)
    with pytest.raises(InputError, match="is a folder"):
        load_image(tmp_path, 8)
    with pytest.raises(InputError, match="did you mean 'coffee'"):
        load_image("sample:cofee", 8)
    with pytest.raises(InputError, match="1 to 4096 pixels, but got 0"):
        load_image("sample:coffee", 0)
