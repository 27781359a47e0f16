"""A denoiser as a prior: its residual is used as a gradient, though it is not exactly that of an energy."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from restoration_core.errors import InputError
from restoration_core.priors.denoiser.network import NoiseNetwork
from restoration_core.priors.prior import Prior
from restoration_core.priors.tensor_checks import check_channels_of


class Denoiser(Prior):
    """The residual of a denoiser at one noise level: ``gradient(x) = (x - D_sigma(x)) / (sigma^2 H W)``.

    ``D_sigma(x) = x - sigma F((x - centre) / sigma, log sigma)`` with the network ``F`` of :class:`NoiseNetwork`. For
    the best possible denoiser of white noise, ``(x - D_sigma(x)) / sigma^2`` is minus the gradient of the log-density
    of noisy photographs. So one step of size ``sigma^2 H W`` denoises. It is divided by the number of pixels, like
    every energy here, so that a weight does not depend on the size of the picture. On feature maps ``sigma`` stands for
    ``sigma unit``, except in the logarithm.

    The Jacobian of a trained ``D`` is not symmetric, so this is not the gradient of any energy: ``has_energy`` is
    False, and the value of :meth:`energy` is only recorded. It must not be minimised, nor compared between priors.

    Args:
        network: predicts the noise.
        centre: ``(C,)``, the mean of each channel over the training maps.
        unit: the unit of the noise levels: 1 for pictures; for feature maps their standard deviation about ``centre``
            over all channels, so that a level of 0.1 means a tenth of that.
        noise_levels: lowest and highest noise level that it was trained at, in units of ``unit``.
        noise: ``sigma``, the noise level that it removes, in units of ``unit``, within ``noise_levels``.

    Raises:
        InputError: a noise level outside the trained ones, or values that are not finite.

    Source: Alain & Bengio 2014 and Vincent 2011 (residual and score); Nguyen et al. 2016 (as a prior for networks'
    inputs); Romano, Elad & Milanfar 2017 (RED).
    """

    has_energy = False

    def __init__(
        self, network: NoiseNetwork, centre: Tensor, unit: float, noise_levels: tuple[float, float], noise: float
    ) -> None:
        low, high = noise_levels
        if not low <= noise <= high:
            raise InputError(
                f"noise: {low} <= noise <= {high} must hold, the levels this denoiser was trained at, but got {noise}"
            )
        if not all(bool(torch.isfinite(part).all()) for part in network.tensors().values()):
            raise InputError("denoiser: finite filters, biases and slopes are needed, but got some that are not")
        if centre.shape != (network.channels,) or not bool(torch.isfinite(centre).all()) or not 0 < unit < math.inf:
            raise InputError(
                f"denoiser: a finite centre of shape ({network.channels},) and a unit > 0 are needed, but got"
                f" {centre.tolist()} and {unit}"
            )
        self.network = network.to(centre.device, centre.dtype)
        self.centre, self.unit = centre, unit
        self.noise_levels, self.noise = noise_levels, noise
        self._deviation = noise * unit
        self._biases = self.network.biases_at(noise)

    @property
    def channels(self) -> int:
        """Channels of the maps it takes."""
        return self.network.channels

    def at_noise(self, noise: float) -> Denoiser:
        """Return the prior for another noise level, sharing its tensors.

        Args:
            noise: in units of ``unit``, within ``noise_levels``.

        Raises:
            InputError: a level outside the trained ones.
        """
        if noise == self.noise:
            return self
        return Denoiser(self.network, self.centre, self.unit, self.noise_levels, noise)

    def to(self, device: torch.device | str, dtype: torch.dtype) -> Denoiser:
        if self.centre.device == torch.device(device) and self.centre.dtype == dtype:
            return self
        centre = self.centre.to(device, dtype)
        return Denoiser(self.network.to(device, dtype), centre, self.unit, self.noise_levels, self.noise)

    def check(self, shape: tuple[int, ...]) -> None:
        check_channels_of(shape, self.channels)

    @torch.no_grad()
    def denoise(self, x: Tensor) -> Tensor:
        """Return ``D_sigma(x)``: ``x`` without white noise of standard deviation ``sigma unit``.

        Args:
            x: ``(B, C, H, W)``.

        Returns:
            ``(B, C, H, W)``, not clipped.
        """
        return x - self._predicted(x).mul_(self._deviation)

    @torch.no_grad()
    def gradient(self, x: Tensor) -> Tensor:
        """Return ``(x - D_sigma(x)) / ((sigma unit)^2 H W)``, ``(B, C, H, W)``: minus the score, per pixel."""
        return self._predicted(x).div_(self._deviation * x.shape[2] * x.shape[3])

    def energy(self, x: Tensor) -> Tensor:
        """Return :meth:`report`, whose gradient is not :meth:`gradient`."""
        return self.report(x)

    def energy_and_gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        gradient = self.gradient(x)
        return self._report(x, gradient), gradient

    def report(self, x: Tensor) -> Tensor:
        """Return RED's value, ``1/2 <x - centre, x - D_sigma(x)> / ((sigma unit)^2 H W)`` for each row.

        Its gradient would be :meth:`gradient` if the Jacobian of ``D`` were symmetric and ``D`` homogeneous about
        ``centre``. Neither holds exactly, so it is recorded and never minimised.

        Args:
            x: ``(B, C, H, W)``.

        Returns:
            ``(B,)``.

        Source: Romano, Elad & Milanfar 2017, with the origin moved to the mean colour; Reehorst & Schniter 2019 for why
        the conditions do not hold.
        """
        return self._report(x, self.gradient(x))

    def _report(self, x: Tensor, gradient: Tensor) -> Tensor:
        return (x.detach() - self.centre[:, None, None]).mul_(gradient).flatten(1).sum(1).div_(2)

    def _predicted(self, x: Tensor) -> Tensor:
        """Return the predicted noise in units of its standard deviation, as a new tensor."""
        self.check(tuple(x.shape[1:]))
        scaled = (x.detach() - self.centre[:, None, None]).div_(self._deviation)
        if x.device.type != "cpu":
            return self.network.noise(scaled, self._biases).contiguous()
        # On a CPU the rounding of a row depends on how many rows are convolved at once, so they go one by one.
        noise = torch.empty_like(scaled, memory_format=torch.contiguous_format)
        for row in range(len(x)):
            noise[row : row + 1] = self.network.noise(scaled[row : row + 1], self._biases)
        return noise
