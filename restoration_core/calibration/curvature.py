"""Curvature of an energy along noise, which makes a prior and a feature loss comparable.

The norms of their gradients are no such measure: at the photograph the feature loss has gradient zero, and where the
weighted sum is at a minimum both gradients are equally large for any weight. What can be compared is how strongly each
pulls back a picture to which noise was added.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from restoration_core.errors import InputError, unknown
from restoration_core.networks import Classifier
from restoration_core.priors.prior import Prior

Gradient = Callable[[Tensor], Tensor]
"""Maps pictures ``(B, 3, H, W)`` to the gradient of an energy with respect to them, each row by itself."""


def curvature_curve(gradient: Gradient, pictures: Tensor, directions: Tensor, levels: Sequence[float]) -> Tensor:
    """Return ``kappa(s) = <grad f(x + s n) - grad f(x), n> / (s ||n||^2)`` for each level s and picture x.

    For ``f(x) = 1/2 x^T A x`` it is ``n^T A n / ||n||^2`` at every s, and its mean over white noise n is
    ``trace(A) / dimension``. It falls with s where the gradient saturates, and is negative where the gradient along the
    noise falls when noise is added.

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
    """Return a prior's gradient with respect to the picture; from a layer's map it is taken back through the network.

    Args:
        prior: on the picture or on the map; an energy is not needed.
        layer: the layer whose map it acts on; None for the picture itself.
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
    """Return Gaussian noise of mean 0 and RMS 1 whose amplitudes fall as 1/frequency, like those of photographs."""
    height, width = pictures.shape[-2:]
    noise = torch.randn(pictures.shape, generator=generator, dtype=torch.float32)
    frequency = torch.hypot(torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width))
    frequency[0, 0] = torch.inf
    spectrum = torch.fft.rfft2(noise) / frequency
    return _unit(torch.fft.irfft2(spectrum, s=(height, width)).to(device=pictures.device, dtype=pictures.dtype))


def jittered(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Return the difference that a shift by one pixel (edges repeated) makes to each picture, scaled to an RMS of 1.

    Raises:
        InputError: a picture that a shift does not change.
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
    """Return noise of one of the kinds :data:`NOISES`, of the shape of ``pictures``, with an RMS of about 1.

    Raises:
        InputError: an unknown kind.
    """
    if kind not in NOISES:
        raise InputError(unknown("noise", kind, NOISES))
    return NOISES[kind](pictures, generator)


def _unit(noise: Tensor) -> Tensor:
    return noise / noise.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
