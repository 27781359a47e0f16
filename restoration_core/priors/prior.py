"""What every prior is: an energy for each picture, to be minimised, with its gradient in closed form."""

from __future__ import annotations

import abc
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor


class Prior(abc.ABC):
    """An energy ``E(x)`` over images or feature maps; lower is more likely.

    The value is a mean over pixels or patches, so it does not grow with the size of the picture. Images are RGB in
    [0, 1]; feature maps are taken as the network gives them. A prior holds tensors but no state that changes. Row b of
    the result depends on row b of the input only.

    Attributes:
        has_energy: False for a prior whose :meth:`gradient` is not that of an energy (a denoiser's residual). The value
            of its :meth:`energy` must then not be minimised; a value to record is :meth:`Reporting.report`.
    """

    has_energy: bool = True

    @abc.abstractmethod
    def energy(self, x: Tensor) -> Tensor:
        """Return the energy of each row.

        Args:
            x: ``(B, C, H, W)``, floating point.

        Returns:
            ``(B,)``, in the dtype of ``x``; finite for finite input, constant pictures included.
        """

    @abc.abstractmethod
    def gradient(self, x: Tensor) -> Tensor:
        """Return ``dE_b/dx_b`` for each row in closed form, ``(B, C, H, W)``, without building an autograd graph.

        Where ``has_energy`` is False, it is minus the score that the prior estimates.
        """

    def energy_and_gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return energy ``(B,)`` and gradient ``(B, C, H, W)``, which some priors compute together."""
        return self.energy(x), self.gradient(x)

    def check(self, shape: tuple[int, ...]) -> None:  # noqa: B027 - a prior that takes every map need not override it
        """Raise ``InputError`` when this prior cannot take maps of ``shape``, ``(C, H, W)``."""

    def to(self, device: torch.device | str, dtype: torch.dtype) -> Prior:
        """Return this prior with its tensors on ``device`` in ``dtype`` (itself when it holds none)."""
        return self

    def differentiable(self, x: Tensor) -> Tensor:
        """Return the energy ``(B,)`` as a node of the autograd graph whose backward is the closed form.

        It lets the closed form be used, or checked, inside a larger graph.
        """
        energy: Tensor = _ClosedForm.apply(x, self)
        return energy


@runtime_checkable
class Reporting(Protocol):
    """A prior without an energy that has a value to record nevertheless."""

    def report(self, x: Tensor) -> Tensor:
        """Return a value ``(B,)`` for each row of ``x``, ``(B, C, H, W)``, which is not minimised."""


class _ClosedForm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, prior: Prior) -> Tensor:
        energy, gradient = prior.energy_and_gradient(x.detach())
        ctx.save_for_backward(gradient)
        return energy

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * grad_output.reshape(-1, *[1] * (gradient.ndim - 1)), None
