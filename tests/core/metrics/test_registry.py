from __future__ import annotations

import pytest
import torch

from restoration_core.errors import InputError
from restoration_core.metrics import METRICS, Metric, parse_metric


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_every_metric_scores_each_row_alone_within_its_range_and_prefers_the_original(metric: Metric) -> None:
    original = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 0.6
    worse = original.clone()
    worse[1] = 0.8 * original[1].flip(0, 1) + 0.2
    scores = metric.compute(worse, original)
    assert scores.shape == (2,)
    assert ((scores >= metric.low) & (scores <= metric.high + 1e-9)).all()
    better = scores[0] < scores[1] if metric.goal == "minimize" else scores[0] > scores[1]
    assert better
    torch.testing.assert_close(metric.compute(worse[1:], original[1:]), scores[1:])


def test_names_are_the_keys() -> None:
    assert [metric.name for metric in METRICS.values()] == list(METRICS)


@pytest.mark.parametrize(
    ("name", "base", "layers"),
    [
        ("psnr", "psnr", ()),
        ("feature_error", "feature_error", ()),
        ("feature_error@conv3/relu", "feature_error", ("conv3/relu",)),
        ("feature_error_root@features.3", "feature_error_root", ("features.3",)),
        ("gram_distance@conv1/relu+pool2", "gram_distance", ("conv1/relu", "pool2")),
    ],
)
def test_a_name_is_a_metric_and_perhaps_layers(name: str, base: str, layers: tuple[str, ...]) -> None:
    assert parse_metric(name) == (METRICS[base], layers)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("image_mes", "unknown metric 'image_mes'; did you mean 'image_mse'"),
        ("ssim@conv1/lin", "compares pictures and takes no layer"),
        ("feature_error@", "names no layer behind its @"),
        ("gram_distance@conv1/relu+", r"names no layer behind its @ or \+"),
    ],
)
def test_other_names_are_refused_in_one_line(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        parse_metric(name)
    assert "\n" not in str(caught.value)
