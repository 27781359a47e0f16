from __future__ import annotations

import pytest
import torch

from restoration_core.metrics import feature_error, feature_error_root


def test_error_is_the_squared_norm_ratio_and_its_root_what_the_papers_report() -> None:
    target = torch.tensor([3.0, 4.0])
    features = torch.tensor([[3.0, 4.0], [0.0, 0.0], [3.0, 4.85]])
    assert feature_error(features, target).tolist() == pytest.approx([0, 1, 0.85**2 / 25])
    assert feature_error_root(features, target).tolist() == pytest.approx([0, 1, 0.17])


def test_one_target_shared_by_all_rows_equals_one_per_row() -> None:
    features, target = torch.rand(4, 2, 3, 3), torch.rand(2, 3, 3)
    torch.testing.assert_close(feature_error(features, target), feature_error(features, target.expand(4, -1, -1, -1)))


def test_scaling_features_and_target_together_changes_nothing() -> None:
    features, target = torch.rand(2, 5, dtype=torch.float64), torch.rand(2, 5, dtype=torch.float64)
    torch.testing.assert_close(feature_error(7 * features, 7 * target), feature_error(features, target))


def test_a_dead_target_gives_zero_or_infinity_never_nan() -> None:
    assert feature_error(torch.tensor([[0.0, 0.0], [1.0, 0.0]]), torch.zeros(2)).tolist() == [0, float("inf")]
