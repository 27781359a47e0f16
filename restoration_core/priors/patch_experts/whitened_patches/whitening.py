"""Whitening of patches: mean removal and an affine map after which the covariance is the identity."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from restoration_core.errors import InputError, unknown
from restoration_core.priors.patch_experts.whitened_patches.moments import PatchMoments

WHITENINGS = ("pca", "zca")


@dataclass(frozen=True)
class Whitening:
    """The affine map ``z_g = transform_g @ (p_g - mean_g)`` from a flattened patch to whitened coordinates.

    A patch is cut into groups of channels, each whitened alone: one group for filters over all channels, one per
    channel for channel-wise ones.

    Attributes:
        mean: ``(D,)``, the data set's mean: one value per channel, the same at every pixel of the patch.
        transforms: ``(groups, M, D / groups)``; removal of the patch's own mean is part of it.
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
    """Return the map that whitens the patches whose moments were taken, plus white noise of deviation ``sigma``.

    With ``C + sigma^2 I = U diag(v) U^T`` (eigenvalues falling) for each group of channels, the first ``dims``
    components kept, and ``R`` the removal of each patch's mean per channel (or the identity): PCA is
    ``diag(v)^(-1/2) U^T R``, ZCA is ``U diag(v)^(-1/2) U^T R``. Without ``sigma`` directions that hold only
    quantisation noise weigh as much as any other; a ``sigma`` of one or two grey levels keeps their weight finite.

    Args:
        moments: of more patches than dimensions.
        kind: ``pca`` (coordinates are components) or ``zca`` (coordinates stay pixels).
        sigma: standard deviation of the noise, in the unit of the patches.
        relative: ``sigma`` is a share of the patches' own root mean square deviation, over all groups.
        dims: components kept in each group; all that have variance when None.

    Returns:
        The map in float64.

    Raises:
        InputError: unknown ``kind``, patches that are all the same, a ``dims`` that they cannot fill, or fewer patches
            than dimensions.
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
    # In place: at several thousand dimensions these matrices are most of the memory a training takes.
    variances, axes = torch.linalg.eigh(covariances.add_(level**2 * projection))
    variances, axes = variances.flip(1), axes.flip(2)
    # float64 leaves about 1e-16 of the largest variance in directions that have none.
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
        InputError: patches that are all the same, of whose deviation there is no share.
    """
    if not relative:
        return sigma
    deviation = float(covariances.diagonal(dim1=1, dim2=2).mean()) ** 0.5
    if deviation == 0:
        raise InputError("maps: values that differ are needed, but these channels are constant; valid: other channels")
    return sigma * deviation
