"""Errors between feature maps (representation errors)."""

from __future__ import annotations

import torch
from torch import Tensor


def feature_error(features: Tensor, target: Tensor) -> Tensor:
    """Return the squared normalised error per row, ``||phi - phi_0||^2 / ||phi_0||^2``.

    Args:
        features: ``(B, C, H, W)`` or ``(B, C)``.
        target: phi_0, of the same shape, or without the batch axis for a target that all rows share.

    Returns:
        ``(B,)``, >= 0; lower is better. A target of zeros gives 0 where the features are zeros too, else infinity.

    Source:
        Eq. 3 of the thesis summary. :func:`feature_error_root` is what MV15 and MV16 report.
    """
    target = target.expand_as(features)
    error = (features - target).flatten(1).square().sum(1)
    energy = target.flatten(1).square().sum(1)
    return torch.where(error == 0, error, error / energy)


def feature_error_root(features: Tensor, target: Tensor) -> Tensor:
    """Return the normalised error per row, ``||phi - phi_0|| / ||phi_0||``, the square root of :func:`feature_error`.

    Source:
        MV15 table 3, MV16 tables 1-3; 0.17 in their tables is a :func:`feature_error` of 0.03.
    """
    return feature_error(features, target).sqrt()
