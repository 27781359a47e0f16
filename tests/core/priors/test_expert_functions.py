"""Expert functions against closed forms, autograd and extreme responses."""

from __future__ import annotations

import math

import pytest
import torch

from restoration_core.errors import InputError
from restoration_core.priors.expert_functions import EXPERTS, expert_by_name

NAMES = sorted(EXPERTS)


def responses() -> torch.Tensor:
    return torch.linspace(-6, 6, 97, dtype=torch.float64)


def test_logistic_is_minus_log_cosh() -> None:
    s = responses()
    torch.testing.assert_close(EXPERTS["logistic"].log_density(s), -torch.log(torch.cosh(s)), rtol=0, atol=1e-14)


def test_student_t_is_minus_log_of_one_plus_half_the_square() -> None:
    value = EXPERTS["student_t"].log_density(torch.tensor([0.0, 2.0], dtype=torch.float64))
    torch.testing.assert_close(value, torch.tensor([0.0, -math.log(3.0)], dtype=torch.float64))


@pytest.mark.parametrize("name", NAMES)
def test_derivatives_are_those_of_the_log_density(name: str) -> None:
    expert, s = EXPERTS[name], responses().requires_grad_()
    (first,) = torch.autograd.grad(expert.log_density(s).sum(), s, create_graph=True)
    torch.testing.assert_close(expert.derivative(s), first, rtol=0, atol=1e-12)
    (second,) = torch.autograd.grad(expert.derivative(s).sum(), s)
    torch.testing.assert_close(expert.second_derivative(s), second, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rows", [1, 3, 8])
def test_influence_in_place_is_minus_the_derivative_over_the_gain(name: str, rows: int) -> None:
    expert, s = EXPERTS[name], responses()[:96].reshape(8, 12)
    expected = -expert.derivative(s)
    given = s.clone()
    result = expert.influence_(given, torch.empty(rows, 12, dtype=torch.float64))
    assert result.data_ptr() == given.data_ptr()
    torch.testing.assert_close(result * expert.influence_gain, expected, rtol=0, atol=1e-15)


@pytest.mark.parametrize("name", NAMES)
def test_huge_responses_stay_finite_in_float32(name: str) -> None:
    expert, s = EXPERTS[name], torch.tensor([-1e4, -100.0, 100.0, 1e4])
    for values in (expert.log_density(s), expert.derivative(s), expert.second_derivative(s)):
        assert torch.isfinite(values).all()
    assert (expert.log_density(s) < -8).all()


def test_logistic_grows_linearly_far_out() -> None:
    s = torch.tensor([500.0])
    torch.testing.assert_close(EXPERTS["logistic"].log_density(s), -(s - math.log(2.0)))


def test_unknown_expert_names_the_nearest() -> None:
    with pytest.raises(InputError, match=r"unknown expert 'student-t'; did you mean 'student_t'\? valid: logistic"):
        expert_by_name("student-t")
