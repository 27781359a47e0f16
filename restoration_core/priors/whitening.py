"""Whitening of patches: mean removal and an affine map after which the covariance is the identity."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from restoration_core.errors import InputError, unknown

WHITENINGS = ("pca", "zca")


@dataclass(frozen=True)
class Whitening:
    """The affine map ``z = transform @ (p - mean)`` from a flattened patch to whitened coordinates.

    Attributes:
        mean: ``(D,)``, the data set's mean: one value per channel, the same at every pixel of the patch.
        transform: ``(M, D)``; removal of the patch's own mean is part of it.
    """

    mean: Tensor
    transform: Tensor

    def apply(self, patches: Tensor) -> Tensor:
        """Return whitened patches ``(N, M)`` of flattened patches ``(N, D)``."""
        return (patches - self.mean) @ self.transform.T

    def fold(self, filters: Tensor) -> tuple[Tensor, Tensor]:
        """Return filters ``(K, D)`` and biases ``(K,)`` on raw patches that act as ``filters`` ``(K, M)`` on whitened.

        ``w . z = (w T) . p - (w T) . mean``.
        """
        effective = filters @ self.transform
        return effective, -(effective @ self.mean)


def fit_whitening(
    patches: Tensor,
    channels: int,
    *,
    kind: str = "pca",
    sigma: float = 0.0,
    dims: int | None = None,
    remove_dc: bool = False,
) -> Whitening:
    """Fit the map that whitens ``patches`` plus white noise of standard deviation ``sigma``.

    With ``C + sigma^2 I = U diag(v) U^T`` (eigenvalues falling), the first ``dims`` components kept, and ``R`` the
    removal of each patch's mean per channel (or the identity): PCA is ``diag(v)^(-1/2) U^T R``, ZCA is
    ``U diag(v)^(-1/2) U^T R``. Without ``sigma`` directions that hold only quantisation noise weigh as much as any
    other; a ``sigma`` of one or two grey levels keeps their weight finite.

    Args:
        patches: ``(N, D)`` with ``D = channels * size^2``, channel by channel, RGB in [0, 1].
        channels: channels of a patch.
        kind: ``pca`` (coordinates are components) or ``zca`` (coordinates stay pixels).
        sigma: standard deviation of the noise, in the unit of the patches.
        dims: components kept; all that have variance when None.
        remove_dc: subtract each patch's own mean per channel first, so that flat offsets are free.

    Returns:
        The map, in the dtype of ``patches``; its algebra is done in float64.

    Raises:
        InputError: unknown ``kind``, a ``dims`` that the patches cannot fill, or fewer patches than dimensions.
    """
    if kind not in WHITENINGS:
        raise InputError(unknown("whitening", kind, WHITENINGS))
    count, size = patches.shape
    if count <= size:
        raise InputError(f"whitening needs more patches than dimensions; got {count} patches of {size} dimensions")
    data = patches.double()
    pixels = size // channels
    mean = data.reshape(count, channels, pixels).mean(dim=(0, 2)).repeat_interleave(pixels)
    projection = torch.eye(size, dtype=torch.float64)
    rank = size
    if remove_dc:
        block = torch.eye(pixels, dtype=torch.float64) - 1.0 / pixels
        projection = torch.block_diag(*[block] * channels)
        rank = size - channels
    data = (data - mean) @ projection
    covariance = data.T @ data / count + sigma**2 * projection
    variances, axes = torch.linalg.eigh(covariance)
    variances, axes = variances.flip(0), axes.flip(1)
    # float64 leaves about 1e-16 of the largest variance in directions that have none.
    filled = min(rank, int((variances > 1e-12 * variances[0]).sum()))
    kept = filled if dims is None else dims
    if not 1 <= kept <= filled:
        raise InputError(f"dims: 1 <= dims <= {filled} must hold for these patches, but got {dims}")
    scale = variances[:kept].rsqrt()
    transform = scale[:, None] * axes[:, :kept].T @ projection
    if kind == "zca":
        transform = axes[:, :kept] @ transform
    return Whitening(mean.to(patches.dtype), transform.to(patches.dtype))
