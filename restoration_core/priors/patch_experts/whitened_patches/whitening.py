"""Whitening of patches: an affine transform after which the mean is 0 and the covariance the identity."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from restoration_core.errors import InputError, unknown
from restoration_core.priors.patch_experts.whitened_patches.moments import PatchMoments

WHITENINGS = ("pca", "zca")


@dataclass(frozen=True)
class Whitening:
    """The transform ``z_g = transform_g @ (p_g - mean_g)`` from a flattened patch to whitened coordinates.

    Each group of channels is whitened by itself: there is one group for filters over all channels, and a group for each
    channel for channel-wise filters.

    Attributes:
        mean: ``(D,)``, the data set's mean: one value per channel, the same at every pixel of the patch.
        transforms: ``(groups, M, D / groups)``; where the patch's own mean is removed, that is part of them.
    """

    mean: Tensor
    transforms: Tensor

    @property
    def transform(self) -> Tensor:
        """The transform ``(M, D)`` of the only group."""
        (transform,) = self.transforms
        return transform

    def apply(self, patches: Tensor) -> Tensor:
        """Return whitened patches ``(N, groups * M)`` of flattened patches ``(N, D)``."""
        parts = (patches - self.mean).tensor_split(len(self.transforms), dim=1)
        return torch.cat([part @ matrix.T for part, matrix in zip(parts, self.transforms, strict=True)], dim=1)

    def fold(self, filters: Tensor) -> tuple[Tensor, Tensor]:
        """Return filters ``(K, D)`` and biases ``(K,)`` on raw patches that act as ``filters`` on whitened ones.

        ``w . z = (w T) . p - (w T) . mean``, group by group.

        Args:
            filters: ``(K, groups * M)``.
        """
        parts = filters.tensor_split(len(self.transforms), dim=1)
        effective = torch.cat([part @ matrix for part, matrix in zip(parts, self.transforms, strict=True)], dim=1)
        return effective, -(effective @ self.mean)


def whiten(
    moments: PatchMoments,
    *,
    kind: str = "pca",
    sigma: float = 0.0,
    relative: bool = False,
    dims: int | None = None,
) -> Whitening:
    """Return the transform that whitens patches with the given moments plus white noise of deviation ``sigma``.

    For each group of channels let ``C + sigma^2 I = U diag(v) U^T`` with falling eigenvalues, of which the first
    ``dims`` are kept, and let ``R`` remove each patch's mean per channel (or be the identity). PCA is
    ``diag(v)^(-1/2) U^T R``, ZCA is ``U diag(v)^(-1/2) U^T R``. Without ``sigma``, directions that hold nothing but
    quantisation noise would weigh as much as all others; a ``sigma`` of one or two grey levels prevents that.

    Args:
        moments: of more patches than dimensions.
        kind: ``pca`` (coordinates are components) or ``zca`` (coordinates stay pixels).
        sigma: standard deviation of the noise, in the unit of the patches.
        relative: ``sigma`` is relative to the patches' own standard deviation over all groups.
        dims: components that are kept in each group; when None all that have variance.

    Returns:
        The transform in float64.

    Raises:
        InputError: an unknown ``kind``, patches that are all the same, more ``dims`` than have variance, or fewer
            patches than dimensions.
    """
    if kind not in WHITENINGS:
        raise InputError(unknown("whitening", kind, WHITENINGS))
    mean, covariances = moments.finish()
    size, projection = covariances.shape[1], moments.projection
    if moments.count <= size:
        raise InputError(
            f"whitening needs more patches than dimensions; got {moments.count} patches of {size} dimensions"
        )
    level = noise_level(covariances, sigma, relative=relative)
    # In place, because with several thousand dimensions these matrices take most of a training's memory.
    variances, axes = torch.linalg.eigh(covariances.add_(level**2 * projection))
    variances, axes = variances.flip(1), axes.flip(2)
    # In float64 a direction without variance still has about 1e-16 of the largest one.
    rank = round(float(projection.diagonal().sum()))
    filled = min(rank, int((variances > 1e-12 * variances[:, :1].clamp(min=1e-300)).sum(dim=1).min()))
    kept = filled if dims is None else dims
    if not 1 <= kept <= filled:
        raise InputError(f"dims: 1 <= dims <= {filled} must hold for these patches, but got {dims}")
    transforms = variances[:, :kept].rsqrt()[:, :, None] * axes[:, :, :kept].transpose(1, 2)
    if rank < size:
        transforms = transforms @ projection
    if kind == "zca":
        transforms = axes[:, :, :kept] @ transforms
    return Whitening(mean, transforms)


def noise_level(covariances: Tensor, sigma: float, *, relative: bool) -> float:
    """Return the standard deviation of the noise in the unit of the patches.

    Raises:
        InputError: ``relative``, and patches that are all the same.
    """
    if not relative:
        return sigma
    deviation = float(covariances.diagonal(dim1=1, dim2=2).mean()) ** 0.5
    if deviation == 0:
        raise InputError("maps: values that differ are needed, but these channels are constant; valid: other channels")
    return sigma * deviation
