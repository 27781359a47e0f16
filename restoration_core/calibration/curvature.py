"""Curvature of an energy along noise: the scale on which a prior and a feature loss can be compared.

Gradient norms cannot be compared: the feature loss has none at the photograph, and at a stationary point of the
weighted sum both agree whatever the weight. How hard an energy pulls back a picture that has strayed is comparable.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from restoration_core.errors import InputError, unknown
from restoration_core.networks import Classifier
from restoration_core.priors.prior import Prior

Gradient = Callable[[Tensor], Tensor]
"""Maps pictures ``(B, 3, H, W)`` to the gradient of an energy with respect to them; rows do not see each other."""


def curvature_curve(gradient: Gradient, pictures: Tensor, directions: Tensor, levels: Sequence[float]) -> Tensor:
    """Return ``kappa(s) = <grad f(x + s n) - grad f(x), n> / (s ||n||^2)`` for each level s and picture x.

    For ``f(x) = 1/2 x^T A x`` it is ``n^T A n / ||n||^2`` whatever s, with the mean ``trace(A) / dimension`` over white
    noise n. It falls with s where the pull saturates and is negative where noise lowers the gradient along itself.

    Args:
        gradient: of f, with respect to the pictures.
        pictures: x, ``(B, 3, H, W)``, RGB in [0, 1].
        directions: n, of the same shape; with an RMS of 1, s is the RMSE of the noisy picture.
        levels: s > 0.

    Returns:
        ``(levels, B)``, float64.
    """
    at_rest = gradient(pictures).double()
    square = directions.double().square().flatten(1).sum(1)
    rows = []
    for level in levels:
        pulled = gradient(pictures + level * directions).double() - at_rest
        rows.append((pulled * directions).flatten(1).sum(1) / (level * square))
    return torch.stack(rows)


def feature_gradient(classifier: Classifier, layer: str, originals: Tensor) -> Gradient:
    """Return the gradient of ``||phi(x) - phi_0||^2 / ||phi_0||^2``, phi_0 the map of the original in the same row.

    Args:
        classifier: the network, in the dtype and on the device of the pictures.
        layer: matched layer.
        originals: ``(B, 3, H, W)``.
    """
    with torch.no_grad():
        targets = classifier.features(originals, [layer])[layer]
    scales = 2 / targets.square().flatten(1).sum(1)

    def gradient(x: Tensor) -> Tensor:
        with torch.enable_grad():
            leaf = x.detach().requires_grad_()
            features = classifier.features(leaf, [layer])[layer]
        slope = (features.detach() - targets) * scales.reshape(-1, *[1] * (targets.ndim - 1))
        return torch.autograd.grad(features, leaf, slope)[0]

    return gradient


def prior_gradient(prior: Prior, layer: str | None, classifier: Classifier) -> Gradient:
    """Return a prior's gradient with respect to the picture, pulled back through the network from a layer's map.

    Args:
        prior: on the picture or on the map; an energy is not needed.
        layer: whose map it acts on; None for the picture itself.
        classifier: the network.
    """
    if layer is None:
        return prior.gradient

    def gradient(x: Tensor) -> Tensor:
        with torch.enable_grad():
            leaf = x.detach().requires_grad_()
            features = classifier.features(leaf, [layer])[layer]
        return torch.autograd.grad(features, leaf, prior.gradient(features.detach()))[0]

    return gradient


def white(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Return white Gaussian noise of standard deviation 1."""
    noise = torch.randn(pictures.shape, generator=generator, dtype=torch.float32)
    return noise.to(device=pictures.device, dtype=pictures.dtype)


def pink(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Return Gaussian noise with amplitudes that fall as 1/frequency, as photographs' do, no mean and an RMS of 1."""
    height, width = pictures.shape[-2:]
    noise = torch.randn(pictures.shape, generator=generator, dtype=torch.float32)
    frequency = torch.hypot(torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width))
    frequency[0, 0] = torch.inf
    spectrum = torch.fft.rfft2(noise) / frequency
    return _unit(torch.fft.irfft2(spectrum, s=(height, width)).to(device=pictures.device, dtype=pictures.dtype))


def jittered(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Return what a shift by one pixel, edges repeated, changes: the error of a jittered picture, with an RMS of 1.

    Raises:
        InputError: a picture that no shift changes.
    """
    moved = torch.empty_like(pictures)
    for row, picture in enumerate(pictures):
        axis, step = (int(torch.randint(2, (), generator=generator)) for _ in range(2))
        padded = torch.nn.functional.pad(picture, (1, 1, 1, 1), mode="replicate")
        top, left = (2 * step, 1) if axis == 0 else (1, 2 * step)
        moved[row] = padded[:, top : top + picture.shape[1], left : left + picture.shape[2]]
    difference = moved - pictures
    if not bool(difference.flatten(1).abs().sum(1).min() > 0):
        raise InputError("pictures: one of a single colour has no jitter noise; valid: photographs, or white noise")
    return _unit(difference)


NOISES: dict[str, Callable[[Tensor, torch.Generator], Tensor]] = {"white": white, "pink": pink, "jittered": jittered}


def draw_noise(kind: str, pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Return directions of one of :data:`NOISES` for ``pictures``, of their shape, with an RMS of about 1.

    Raises:
        InputError: an unknown kind.
    """
    if kind not in NOISES:
        raise InputError(unknown("noise", kind, NOISES))
    return NOISES[kind](pictures, generator)


def _unit(noise: Tensor) -> Tensor:
    return noise / noise.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
