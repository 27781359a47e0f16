"""Score matching: training an unnormalised density without knowing its normalising constant."""

from __future__ import annotations

import torch
from torch import Tensor

from restoration_core.priors.expert_functions import Expert


def score_matching_loss(z: Tensor, filters: Tensor, alphas: Tensor, expert: Expert) -> Tensor:
    """Return the sampled score-matching objective of ``log p(z) = sum_k alpha_k G(w_k . z) + const``.

    ``J = mean_t [ sum_k alpha_k g'(s_kt) ||w_k||^2 + 1/2 || sum_k alpha_k g(s_kt) w_k ||^2 ]`` with
    ``s_kt = w_k . z_t``: the mean over samples of the Laplacian of ``log p`` plus half its squared gradient. It is
    minimised and may be negative. Up to a constant it is half the expected squared distance between the model's score
    and that of the data. The thesis prints it for filters of norm 1, without ``||w_k||^2``.

    Args:
        z: samples ``(N, D)``, whitened.
        filters: ``w``, ``(K, D)``.
        alphas: ``(K,)``, positive.
        expert: gives ``g`` and ``g'``.

    Returns:
        A scalar, differentiable in filters and alphas.

    Source: Hyvarinen 2005, eq. 4; thesis eq. 8.
    """
    s = z @ filters.T
    laplacian = expert.second_derivative(s).mean(dim=0) @ (alphas * filters.square().sum(dim=1))
    score = expert.derivative(s) @ (alphas[:, None] * filters)
    return laplacian + 0.5 * score.square().sum() / len(z)


def grouped_score_matching_loss(z: Tensor, filters: Tensor, alphas: Tensor, expert: Expert) -> Tensor:
    """Return the sum over independent groups of :func:`score_matching_loss`, computed together.

    Args:
        z: samples ``(groups, N, D)``, whitened.
        filters: ``(groups, K, D)``.
        alphas: ``(groups, K)``, positive.
        expert: gives ``g`` and ``g'``.

    Returns:
        A scalar, differentiable in filters and alphas.
    """
    s = torch.bmm(z, filters.transpose(1, 2))
    laplacian = (expert.second_derivative(s).mean(dim=1) * alphas * filters.square().sum(dim=2)).sum()
    score = torch.bmm(expert.derivative(s), alphas[:, :, None] * filters)
    return laplacian + 0.5 * score.square().sum() / z.shape[1]
