"""Expert functions: the log-density ``G(s)`` of one filter response, and its two derivatives."""

from __future__ import annotations

import abc
import math

import torch
from torch import Tensor

from restoration_core.errors import InputError, unknown


class Expert(abc.ABC):
    """A sparse log-density over the response ``s`` of a filter, up to a constant, largest at ``s = 0``.

    Attributes:
        name: the name in recipes and specs.
        influence_gain: a factor that :meth:`influence_` leaves out, because callers can multiply it into their weights.
    """

    name: str
    influence_gain: float

    @abc.abstractmethod
    def log_density(self, s: Tensor) -> Tensor:
        """Return ``G(s)``, at most 0, elementwise."""

    @abc.abstractmethod
    def derivative(self, s: Tensor) -> Tensor:
        """Return ``g(s) = dG/ds`` elementwise."""

    @abc.abstractmethod
    def second_derivative(self, s: Tensor) -> Tensor:
        """Return ``g'(s)`` elementwise."""

    @abc.abstractmethod
    def influence_(self, s: Tensor, scratch: Tensor) -> Tensor:
        """Overwrite ``s``, ``(K, N)``, with ``-g(s) / influence_gain`` and return it.

        ``scratch``, ``(R, N)`` with any ``R >= 1``, is overwritten too. Work goes on R rows at a time, so that a small
        R keeps it in the processor's cache.
        """


class Logistic(Expert):
    """``G(s) = -log cosh s``: the expert of independent component analysis.

    Source: thesis eq. 7 and 10-12; ``g = -tanh s``, ``g' = -1 / cosh^2 s``.
    """

    name = "logistic"
    influence_gain = 1.0

    def log_density(self, s: Tensor) -> Tensor:
        # In float32 cosh overflows beyond |s| = 89; this form does not.
        magnitude = s.abs()
        return math.log(2.0) - magnitude - torch.log1p(torch.exp(-2.0 * magnitude))

    def derivative(self, s: Tensor) -> Tensor:
        return -torch.tanh(s)

    def second_derivative(self, s: Tensor) -> Tensor:
        return torch.tanh(s).square() - 1.0

    def influence_(self, s: Tensor, scratch: Tensor) -> Tensor:
        return s.tanh_()


class StudentT(Expert):
    """``G(s) = -log(1 + s^2 / 2)``: the expert of the field of experts.

    Source: thesis eq. 7-8 and 10-12; ``g = -2 s / (s^2 + 2)``, ``g' = 2 (s^2 - 2) / (s^2 + 2)^2``.
    """

    name = "student_t"
    influence_gain = 2.0

    def log_density(self, s: Tensor) -> Tensor:
        return -torch.log1p(s.square() / 2.0)

    def derivative(self, s: Tensor) -> Tensor:
        return -2.0 * s / (s.square() + 2.0)

    def second_derivative(self, s: Tensor) -> Tensor:
        square = s.square()
        return 2.0 * (square - 2.0) / (square + 2.0).square()

    def influence_(self, s: Tensor, scratch: Tensor) -> Tensor:
        two = s.new_full((1, 1), 2.0)
        for block in s.split(len(scratch)):
            block.div_(torch.addcmul(two, block, block, out=scratch[: len(block)]))
        return s


EXPERTS: dict[str, Expert] = {expert.name: expert for expert in (Logistic(), StudentT())}


def expert_by_name(name: str) -> Expert:
    """Return the expert called ``name``.

    Raises:
        InputError: there is no such expert.
    """
    if name not in EXPERTS:
        raise InputError(unknown("expert", name, EXPERTS))
    return EXPERTS[name]
