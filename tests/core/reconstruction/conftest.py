"""A small network and varied problems."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from restoration_core.networks import Classifier, open_network


@pytest.fixture(scope="session")
def classifier() -> Classifier:
    """The small AlexNet with its bundled weights, float32."""
    return open_network()


@pytest.fixture(scope="session")
def photographs() -> Tensor:
    """Smooth pictures with edges, ``(5, 3, 24, 24)`` in [0, 1]."""
    generator = torch.Generator().manual_seed(11)
    coarse = torch.rand(5, 3, 6, 6, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=(24, 24), mode="bilinear")
    smooth[:, :, 8:16, 5:12] = coarse[:, :, :1, :1]
    return smooth
