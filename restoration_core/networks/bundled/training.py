"""Training the bundled CIFAR-10 network: data, augmentation, one-cycle SGD, export without batch normalisation."""

from __future__ import annotations

import io
import math
import pickle
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from restoration_core.errors import InputError
from restoration_core.networks.bundled.cifar_alexnet import MEAN, STD, CifarAlexNet, fold_batch_norm


@dataclass(frozen=True)
class TrainingRecipe:
    """What determines the trained weights; written into the model card.

    Attributes:
        epochs: passes over the training pictures.
        batch_size: pictures a step.
        peak_learning_rate: top of the one-cycle schedule (linear up over the first 20 %, linear down to zero).
        momentum: Nesterov momentum.
        weight_decay: L2 penalty per step on weights (not on biases and normalisation).
        label_smoothing: probability mass spread over the wrong classes.
        crop_padding: pixels of reflected border that the random crop may use.
        seed: of the initial weights, the shuffles and the augmentation.
    """

    epochs: int = 10
    batch_size: int = 128
    peak_learning_rate: float = 0.2
    momentum: float = 0.9
    weight_decay: float = 5e-4
    label_smoothing: float = 0.05
    crop_padding: int = 2
    seed: int = 0


@dataclass(frozen=True)
class TrainingReport:
    """Result of :func:`train_cifar_alexnet`."""

    model: CifarAlexNet
    test_accuracy: float
    train_time_s: float
    recipe: TrainingRecipe

    def metadata(self) -> dict[str, str]:
        """Return the string pairs stored in the safetensors header."""
        pairs = {key: str(value) for key, value in asdict(self.recipe).items()}
        return {**pairs, "test_accuracy": f"{self.test_accuracy:.4f}", "train_time_s": f"{self.train_time_s:.0f}"}


def load_cifar10(data: Path, train: bool) -> tuple[Tensor, Tensor]:
    """Read CIFAR-10 from a folder.

    The folder holds either ``cifar10-train.parquet`` and ``cifar10-test.parquet`` (columns ``jpeg`` or ``png`` with
    encoded pictures, and ``label``), or what ``torchvision.datasets.CIFAR10`` downloads
    (``cifar-10-batches-py/`` or ``cifar-10-python.tar.gz``).

    Args:
        data: the folder.
        train: the 50,000 training pictures, otherwise the 10,000 test pictures.

    Returns:
        Pictures ``(N, 3, 32, 32)`` uint8 and labels ``(N,)`` int64.

    Raises:
        InputError: when the folder has neither form, or a file in it is damaged.
    """
    try:
        return _load_cifar10(data, train)
    except (OSError, ValueError, KeyError, EOFError, pickle.UnpicklingError, tarfile.TarError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{data}: damaged CIFAR-10 file ({' '.join(str(error).split())})") from error


def _load_cifar10(data: Path, train: bool) -> tuple[Tensor, Tensor]:
    parquet = data / f"cifar10-{'train' if train else 'test'}.parquet"
    if parquet.is_file():
        return _from_parquet(parquet)
    names = [f"data_batch_{i}" for i in range(1, 6)] if train else ["test_batch"]
    folder, archive = data / "cifar-10-batches-py", data / "cifar-10-python.tar.gz"
    if folder.is_dir():
        return _from_batches([(folder / name).read_bytes() for name in names])
    if archive.is_file():
        with tarfile.open(archive) as tar:
            members = [tar.extractfile(f"cifar-10-batches-py/{name}") for name in names]
            return _from_batches([member.read() for member in members if member is not None])
    raise InputError(
        f"{data}: no CIFAR-10 there; valid: a folder with cifar10-train.parquet and cifar10-test.parquet, or with "
        "cifar-10-batches-py/ as torchvision.datasets.CIFAR10(download=True) leaves it"
    )


def _from_parquet(path: Path) -> tuple[Tensor, Tensor]:
    from pyarrow import parquet  # only this command reads parquet; the core does not need pyarrow

    table = parquet.read_table(path)
    column = "jpeg" if "jpeg" in table.column_names else "png"
    pictures = [np.asarray(Image.open(io.BytesIO(data)).convert("RGB")) for data in table[column].to_pylist()]
    labels = torch.tensor(table["label"].to_pylist())
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous(), labels


class _NumpyOnly(pickle.Unpickler):
    """CIFAR's own archive is a pickle of numpy arrays: nothing else is loaded from it."""

    def find_class(self, module: str, name: str) -> object:
        allowed = {("numpy.core.multiarray", "_reconstruct"), ("numpy", "ndarray"), ("numpy", "dtype")}
        allowed |= {("numpy._core.multiarray", "_reconstruct"), ("_codecs", "encode")}
        if (module, name) not in allowed:
            raise pickle.UnpicklingError(f"{module}.{name} has no place in a CIFAR-10 batch")
        return super().find_class(module, name)


def _from_batches(blobs: list[bytes]) -> tuple[Tensor, Tensor]:
    pictures, labels = [], []
    for blob in blobs:
        batch = _NumpyOnly(io.BytesIO(blob), encoding="latin1").load()
        pictures.append(torch.as_tensor(np.array(batch["data"])).reshape(-1, 3, 32, 32))
        labels.append(torch.tensor(batch["labels"]))
    return torch.cat(pictures), torch.cat(labels)


def _normalise(pictures: Tensor) -> Tensor:
    mean, std = torch.tensor(MEAN).reshape(1, 3, 1, 1), torch.tensor(STD).reshape(1, 3, 1, 1)
    return ((pictures.float() / 255 - mean) / std).to(memory_format=torch.channels_last)


def _batches(
    pictures: Tensor, labels: Tensor, recipe: TrainingRecipe, rng: torch.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield shuffled, flipped and shifted batches, ``(x, y)``."""
    pad = recipe.crop_padding
    padded = F.pad(pictures, (pad,) * 4, mode="reflect")
    order = torch.randperm(len(pictures), generator=rng)
    for chunk in order.split(recipe.batch_size):
        if len(chunk) < 2:
            continue
        x = padded[chunk]
        top, left = torch.randint(0, 2 * pad + 1, (2, len(chunk), 1, 1), generator=rng)
        rows = (top + torch.arange(32)).reshape(-1, 1, 32, 1).expand(-1, 3, -1, x.shape[3])
        columns = (left + torch.arange(32)).reshape(-1, 1, 1, 32).expand(-1, 3, 32, -1)
        x = x.gather(2, rows).gather(3, columns)
        flip = torch.rand(len(chunk), generator=rng) < 0.5
        x[flip] = x[flip].flip(3)
        yield x.to(memory_format=torch.channels_last), labels[chunk]


def _rate(progress: float, peak: float) -> float:
    return peak * (progress / 0.2 if progress < 0.2 else (1 - progress) / 0.8)


@torch.no_grad()
def accuracy(model: CifarAlexNet, pictures: Tensor, labels: Tensor) -> float:
    """Return the fraction of normalised pictures ``(N, 3, 32, 32)`` whose highest logit is at the label ``(N,)``."""
    model.eval()
    hits = [(model.logits(x).argmax(1) == y).sum() for x, y in zip(pictures.split(500), labels.split(500), strict=True)]
    return int(torch.stack(hits).sum()) / len(labels)


def train_cifar_alexnet(
    data: Path,
    recipe: TrainingRecipe | None = None,
    progress: Callable[[int, float, float], None] | None = None,
    step_progress: Callable[[int, int], None] | None = None,
) -> TrainingReport:
    """Train the small AlexNet and fold its batch normalisation away.

    Args:
        data: folder that :func:`load_cifar10` accepts.
        recipe: hyper-parameters; the defaults are those of the bundled weights.
        progress: called after each epoch with (epoch, mean training loss, test accuracy).
        step_progress: called after each step with (steps taken, steps in all).

    Returns:
        The network without batch normalisation, its accuracy on the 10,000 test pictures and the recipe.
    """
    recipe = recipe or TrainingRecipe()
    pictures, labels = load_cifar10(data, train=True)
    test_pictures, test_labels = load_cifar10(data, train=False)
    x_train, x_test = _normalise(pictures), _normalise(test_pictures)
    torch.manual_seed(recipe.seed)
    rng = torch.Generator().manual_seed(recipe.seed)
    model = CifarAlexNet(batch_norm=True).to(memory_format=torch.channels_last)
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.SGD(groups, lr=0.0, momentum=recipe.momentum, nesterov=True)
    steps, step, started = math.ceil(len(labels) / recipe.batch_size) * recipe.epochs, 0, time.perf_counter()
    for epoch in range(recipe.epochs):
        model.train()
        losses = []
        for x, y in _batches(x_train, labels, recipe, rng):
            for group in optimizer.param_groups:
                group["lr"] = _rate((step + 1) / steps, recipe.peak_learning_rate)
            loss = nn.functional.cross_entropy(model.logits(x), y, label_smoothing=recipe.label_smoothing)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
            step += 1
            if step_progress is not None:
                step_progress(step, steps)
        if progress is not None:
            progress(epoch + 1, float(torch.stack(losses).mean()), accuracy(model, x_test, test_labels))
    plain = fold_batch_norm(model.eval())
    return TrainingReport(plain, accuracy(plain, x_test, test_labels), time.perf_counter() - started, recipe)
