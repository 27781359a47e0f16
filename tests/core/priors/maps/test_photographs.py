"""Photographs for training: sizes, an identity that depends on content only, damaged files told together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from restoration_core.errors import InputError, InputErrors
from restoration_core.priors.maps.photographs import load_folder, load_samples


def picture(path: Path, width: int, height: int, seed: int = 0) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def test_short_side_is_as_asked_and_the_shape_is_kept(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", 90, 60)
    (loaded,) = load_folder(tmp_path, 20).pictures
    assert loaded.shape == (3, 20, 30)
    assert loaded.dtype == torch.float32
    assert loaded.min() >= 0
    assert loaded.max() <= 1


def test_without_resizing_pixels_are_those_of_the_file(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png", 7, 5)
    (loaded,) = load_folder(tmp_path, None).pictures
    expected = np.asarray(Image.open(path), dtype=np.float32).transpose(2, 0, 1) / 255
    np.testing.assert_array_equal(loaded.numpy(), expected)


def test_identity_and_order_depend_on_content_and_not_on_names(tmp_path: Path) -> None:
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    for folder, names in ((first, "ab"), (second, "zy"), (third, "ab")):
        folder.mkdir()
        for seed, name in enumerate(names):
            picture(folder / f"{name}.png", 12, 10, seed)
    picture(third / "c.png", 12, 10, 9)
    loaded = [load_folder(folder, 8) for folder in (first, second, third)]
    assert loaded[0].identity == loaded[1].identity != loaded[2].identity
    assert loaded[0].identity.startswith("sha256:")
    for one, other in zip(loaded[0].pictures, loaded[1].pictures, strict=True):
        assert torch.equal(one, other)


def test_files_that_are_no_pictures_are_passed_over(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", 12, 10)
    (tmp_path / "notes.txt").write_text("no picture")
    assert len(load_folder(tmp_path, 8).pictures) == 1


def test_damaged_pictures_are_told_one_line_each(tmp_path: Path) -> None:
    whole = picture(tmp_path / "a.png", 40, 40).read_bytes()
    (tmp_path / "b.png").write_bytes(whole[:200])
    (tmp_path / "c.jpg").write_bytes(b"not a picture")
    with pytest.raises(InputErrors) as caught:
        load_folder(tmp_path, 8)
    assert [line.split(":")[0] for line in caught.value.lines] == [str(tmp_path / "b.png"), str(tmp_path / "c.jpg")]


def test_transparent_and_16_bit_pictures_are_read_as_elsewhere(tmp_path: Path) -> None:
    Image.new("RGBA", (12, 10), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    Image.fromarray(np.full((10, 12), 257 * 100, np.uint16)).save(tmp_path / "deep.png")
    values = sorted(float(one.unique()) for one in load_folder(tmp_path, 8).pictures)
    assert values == pytest.approx([100 / 255, 1.0])


def test_empty_and_missing_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no picture in it; valid: files that end in"):
        load_folder(tmp_path, 8)
    with pytest.raises(InputError, match="no such folder"):
        load_folder(tmp_path / "none", 8)


def test_samples_are_there() -> None:
    samples = load_samples(32)
    assert samples.identity == "samples"
    assert len(samples.pictures) >= 4
    assert all(min(one.shape[1:]) == 32 for one in samples.pictures)


def test_a_strip_that_would_grow_beyond_all_bounds_is_refused(tmp_path: Path) -> None:
    Image.new("RGB", (1, 60_000)).save(tmp_path / "strip.png")
    with pytest.raises(InputErrors, match=r"1 x 60000 pixels become 256 x 15360000; valid: at most 64 million pixels"):
        load_folder(tmp_path, 256)
