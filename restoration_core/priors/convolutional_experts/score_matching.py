"""Score matching of convolutional fields: the denoising and the implicit form, differentiable in the parameters."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from restoration_core.priors.convolutional_experts.convolution import (
    back_project,
    margins,
    pad_reflect,
    pad_reflect_adjoint,
    pool,
    pool_adjoint,
    row_kernels,
)
from restoration_core.priors.expert_functions import Expert


@dataclass(frozen=True)
class FieldParameters:
    """The tensors of a field of experts under training, as :class:`ConvolutionalExperts` names them.

    Attributes:
        filters: ``w``, ``(K, C, f, f)``.
        bias: ``b``, ``(K,)``.
        alphas: ``(L, S, K)``, positive.
        gammas: ``(L, S, K)``, positive.
    """

    filters: Tensor
    bias: Tensor
    alphas: Tensor
    gammas: Tensor


def field_score(
    y: Tensor, levels: Tensor, field: FieldParameters, expert: Expert, boundary: str
) -> tuple[Tensor, Tensor]:
    """Return the model's score ``psi(y) = grad log q(y)`` and its divergence.

    With ``s_skp = gamma_sk ((w_k * P_s y)_p + b_k)``:
    ``psi = sum_s P_s^T sum_k w_k *^T (alpha_sk gamma_sk g(s_sk))``, and
    ``div psi = sum_s 4^-s sum_k alpha_sk gamma_sk^2 ||w_k||^2 sum_p g'(s_skp)``. The divergence is right for the
    ``valid`` boundary and sizes that ``2^s`` divides; with mirrored pixels, which a filter meets twice, it is not.

    Args:
        y: ``(B, C, H, W)``.
        levels: ``(B,)`` integers: the noise level of each row.
        field: the parameters, with a graph where they are to be trained.
        expert: gives ``g`` and ``g'``.
        boundary: ``reflect`` or ``valid``.

    Returns:
        The score ``(B, C, H, W)`` and the divergence ``(B,)`` (NaN for ``reflect``).
    """
    size = field.filters.shape[2]
    edges, kernels = margins(size, boundary), row_kernels(field.filters)
    norms = field.filters.square().sum(dim=(1, 2, 3))
    score, divergence = torch.zeros_like(y), y.new_zeros(len(y))
    for scale in range(field.alphas.shape[1]):
        alphas, gammas = (part[levels, scale] for part in (field.alphas, field.gammas))
        coarse = pad_reflect(pool(y, 2**scale), *edges)
        raw = F.conv2d(coarse, field.filters, field.bias)
        responses = gammas[:, :, None, None] * raw
        influence = (alphas * gammas)[:, :, None, None] * expert.derivative(responses)
        slopes = pad_reflect_adjoint(back_project(influence, kernels), *edges)
        score = score + pool_adjoint(slopes, 2**scale, *y.shape[2:])
        if boundary == "valid":
            curvature = expert.second_derivative(responses).sum(dim=(2, 3))
            divergence = divergence + (curvature * alphas * gammas.square() * norms).sum(dim=1) / 4**scale
    return score, divergence if boundary == "valid" else divergence.fill_(float("nan"))


def denoising_score_matching_loss(
    x: Tensor, noise: Tensor, levels: Tensor, sigmas: Tensor, field: FieldParameters, expert: Expert, boundary: str
) -> Tensor:
    """Return ``mean ||n + sigma psi(x + sigma n)||^2 / D`` over the rows, D being the values of a row.

    The score of pictures plus noise, ``y = x + sigma n`` with white normal ``n``, is the mean over ``x`` given ``y`` of
    ``grad_y log N(y; x, sigma^2 I) = -n / sigma``. So the ``psi`` that minimises ``E ||psi(y) + n / sigma||^2`` is that
    score. The factor ``sigma^2`` makes the noise levels comparable: the loss is the mean squared error, in units of the
    noise, that the one-step denoiser ``y + sigma^2 psi(y)`` leaves, and a prior that does nothing has 1.

    Args:
        x: clean maps, ``(B, C, H, W)``.
        noise: ``n``, same shape, standard normal.
        levels: ``(B,)``: index of each row's level.
        sigmas: ``(L,)``: the standard deviations.
        field: the parameters.
        expert: the expert function.
        boundary: ``reflect`` or ``valid``.

    Returns:
        A scalar, differentiable in the parameters.

    Source: Vincent 2011, eq. 10; Miyasawa 1961 for the denoiser.
    """
    spread = sigmas[levels][:, None, None, None]
    score, _ = field_score(x + spread * noise, levels, field, expert, boundary)
    return (noise + spread * score).square().mean()


def implicit_score_matching_loss(
    y: Tensor, levels: Tensor, sigmas: Tensor, field: FieldParameters, expert: Expert
) -> Tensor:
    """Return ``1 + mean sigma^2 (||psi(y)||^2 + 2 div psi(y)) / D`` over the rows, for the ``valid`` boundary.

    The divergence contains ``||w_k||^2``, which thesis eq. 8 leaves out because its filters have norm 1. For
    ``y = x + sigma n`` the expected loss of any field equals that of :func:`denoising_score_matching_loss`, though
    ``x`` is not known here (partial integration: ``E <psi(y), n> = sigma E div psi(y)``).

    Args:
        y: noisy maps, ``(B, C, H, W)``, sizes divisible by ``2^(S - 1)``.
        levels: ``(B,)``: index of each row's level.
        sigmas: ``(L,)``: the standard deviations.
        field: the parameters.
        expert: the expert function.

    Returns:
        A scalar, differentiable in the parameters.

    Source: Hyvarinen 2005, eq. 4; thesis eq. 8 with the factor it lacks.
    """
    score, divergence = field_score(y, levels, field, expert, "valid")
    values = score.square().sum(dim=(1, 2, 3)) + 2 * divergence
    return 1 + (sigmas[levels].square() * values).mean() / y[0].numel()
