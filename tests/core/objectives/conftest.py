"""A small network in double precision, and pictures that stay inside [0, 1] for a few steps."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from restoration_core.networks import Classifier, open_network, outline_network

LAYER = "conv2/relu"
SIZE = 14


@pytest.fixture(scope="session")
def small() -> Classifier:
    """The bundled network in float64."""
    return open_network().to("cpu", torch.float64)


@pytest.fixture(scope="session")
def alexnet() -> Classifier:
    return outline_network("alexnet")


@pytest.fixture
def picture() -> Tensor:
    """A smooth original, ``(3, SIZE, SIZE)``."""
    return _smooth(0)


@pytest.fixture
def start() -> Tensor:
    """Another one, to start from."""
    return _smooth(1)


def _smooth(seed: int) -> Tensor:
    coarse = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return 0.35 + 0.3 * torch.nn.functional.interpolate(coarse, size=(SIZE, SIZE), mode="bilinear")[0]
