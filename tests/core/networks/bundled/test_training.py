from __future__ import annotations

import io
import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image
from pyarrow import parquet

from restoration_core.errors import InputError
from restoration_core.networks.bundled.training import TrainingRecipe, load_cifar10, train_cifar_alexnet


def write_cifar(folder: Path, count: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """Ten classes that differ in brightness, as PNG in the parquet form."""
    rng = np.random.default_rng(0)
    labels = np.arange(count) % 10
    pixels = (labels[:, None, None, None] * 25 + rng.integers(0, 20, (count, 32, 32, 3))).astype(np.uint8)
    encoded = []
    for picture in pixels:
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, format="PNG")
        encoded.append(buffer.getvalue())
    for part in ("train", "test"):
        parquet.write_table(pa.table({"png": encoded, "label": labels}), folder / f"cifar10-{part}.parquet")
    return pixels, labels


def test_pictures_and_labels_are_read_from_parquet(tmp_path: Path) -> None:
    pixels, labels = write_cifar(tmp_path)
    pictures, found = load_cifar10(tmp_path, train=True)
    np.testing.assert_array_equal(pictures.numpy(), pixels.transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(found.numpy(), labels)


def test_pictures_and_labels_are_read_from_cifars_own_batches(tmp_path: Path) -> None:
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    data = np.random.default_rng(0).integers(0, 256, (4, 3072), dtype=np.uint8)
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        (folder / name).write_bytes(pickle.dumps({"data": data, "labels": [1, 2, 3, 4]}, protocol=2))
    pictures, labels = load_cifar10(tmp_path, train=True)
    assert pictures.shape == (20, 3, 32, 32)
    np.testing.assert_array_equal(pictures[:4].numpy().reshape(4, -1), data)
    assert labels.tolist() == [1, 2, 3, 4] * 5


def test_a_missing_and_a_damaged_data_set_are_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no CIFAR-10 there"):
        load_cifar10(tmp_path, train=True)
    (tmp_path / "cifar10-train.parquet").write_bytes(b"nonsense")
    with pytest.raises(InputError, match="damaged CIFAR-10 file") as caught:
        load_cifar10(tmp_path, train=True)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_training_learns_reports_its_progress_and_repeats_itself(tmp_path: Path) -> None:
    write_cifar(tmp_path)
    recipe = TrainingRecipe(epochs=4, batch_size=16, peak_learning_rate=0.02)
    epochs: list[tuple[int, float, float]] = []
    steps: list[tuple[int, int]] = []
    first = train_cifar_alexnet(tmp_path, recipe, lambda *r: epochs.append(r), lambda *r: steps.append(r))
    assert [epoch for epoch, _, _ in epochs] == [1, 2, 3, 4]
    assert steps == [(step, 16) for step in range(1, 17)]
    assert epochs[-1][1] < 0.8 * epochs[0][1]
    assert first.test_accuracy == pytest.approx(epochs[-1][2], abs=0.02)
    assert first.metadata()["epochs"] == "4"
    second = train_cifar_alexnet(tmp_path, recipe)
    state = second.model.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in first.model.state_dict().items())
