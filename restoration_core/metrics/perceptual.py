"""Distances between feature maps that stand for textures, or for how similar pictures look."""

from __future__ import annotations

from torch import Tensor

from restoration_core.metrics.feature import feature_error

_TINY = 1e-10


def gram_matrix(features: Tensor) -> Tensor:
    """Return the correlations of channels over positions, ``G_ab = mean_(h,w) F_a(h,w) F_b(h,w)``.

    Args:
        features: ``(B, C, H, W)``, or ``(B, C)`` as one position.

    Returns:
        ``(B, C, C)``, symmetric. Exchanging positions does not change it.

    Source:
        Gatys, Ecker, Bethge 2016, eq. 3, divided by the number of positions.
    """
    maps = features.reshape(*features.shape[:2], -1)
    return maps @ maps.transpose(1, 2) / maps.shape[2]


def gram_distance(features: Tensor, target: Tensor) -> Tensor:
    """Return the squared normalised distance of Gram matrices per row, ``||G - G_0||_F^2 / ||G_0||_F^2``.

    It compares textures wherever they are in the picture. It is normalised like :func:`feature_error`, so that it can
    be averaged over layers; Gatys et al. divide by constants that depend on the size of the layer instead.

    Args:
        features: ``(B, C, H, W)`` or ``(B, C)``.
        target: of the original, of the same shape, or without the batch axis for a target that all rows share.

    Returns:
        ``(B,)``, >= 0; lower is better. A target of zeros gives 0 where the features are zeros too, else infinity.
    """
    shared = target.ndim < features.ndim
    return feature_error(gram_matrix(features), gram_matrix(target[None] if shared else target))


def perceptual_distance(features: Tensor, target: Tensor) -> Tensor:
    """Return the squared distance of unit channel vectors per row, ``mean_(h,w) sum_c (f_c/||f|| - g_c/||g||)^2``.

    It is LPIPS without learned channel weights: all channels count alike, so values cannot be compared with published
    LPIPS scores. LPIPS is a sum over layers; here a metric over several layers is their mean.

    Args:
        features: ``(B, C, H, W)``, or ``(B, C)`` as one position.
        target: of the original, of the same shape, or without the batch axis for a target that all rows share.

    Returns:
        ``(B,)``, in [0, 4], and in [0, 2] for layers after a ReLU; lower is better. A position where all channels are 0
        counts as the vector zero.

    Source:
        Zhang, Isola, Efros, Shechtman, Wang 2018, eq. 1 with w = 1.
    """
    difference = _unit(features) - _unit(target.expand_as(features))
    return difference.square().sum(1).flatten(1).mean(1) if features.ndim > 2 else difference.square().sum(1)


def _unit(features: Tensor) -> Tensor:
    return features / (features.square().sum(1, keepdim=True).sqrt() + _TINY)
