"""A network whose one layer is the picture itself, so that every number can be worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from restoration_core.networks import Classifier
from restoration_core.reconstruction import FeatureMatch, Problem, Schedule

LAYER = "same"


def mirror(mean: float = 0.0) -> Classifier:
    """Return a network with ``phi(x) = x - mean`` for pictures of 3 x 3 pixels and more."""
    same = nn.Conv2d(3, 3, 1, bias=False, dtype=torch.float64)
    with torch.no_grad():
        same.weight.copy_(torch.eye(3).reshape(3, 3, 1, 1))
    return Classifier(nn.Sequential(same), "mirror", {LAYER: "0"}, (mean,) * 3, (1.0, 1.0, 1.0), 3)


@pytest.fixture
def network() -> Classifier:
    return mirror()


def columns(*values: float) -> Tensor:
    """Return a grey square picture whose columns have these values."""
    return torch.tensor(values, dtype=torch.float64).expand(3, len(values), len(values)).clone()


def standing(picture: Tensor, **settings: Any) -> Problem:
    """Return a problem that starts at ``picture``, matches it, and hardly moves."""
    rate = Schedule.constant(1e-15)
    problem = Problem((FeatureMatch(LAYER, picture),), learning_rate=rate, initial=picture, optimizer="momentum")
    return replace(problem, **settings)
