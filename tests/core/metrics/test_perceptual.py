from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from restoration_core.images import load_image
from restoration_core.metrics import gram_distance, gram_matrix, measure, metric_layers, perceptual_distance
from restoration_core.networks import Classifier, open_network


def maps(seed: int = 0, shape: tuple[int, ...] = (3, 4, 5, 6)) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_gram_distance_is_numpys_row_by_row() -> None:
    x, y = maps(0), maps(1)
    for row, value in enumerate(gram_distance(x, y)):
        f, g = (z[row].numpy().reshape(4, 30) for z in (x, y))
        gram_f, gram_g = (sum(np.outer(z[:, p], z[:, p]) for p in range(30)) / 30 for z in (f, g))
        assert float(value) == pytest.approx(np.sum((gram_f - gram_g) ** 2) / np.sum(gram_g**2), rel=1e-12)
        np.testing.assert_allclose(gram_matrix(x)[row], gram_f, rtol=1e-12)


def test_scaling_a_map_by_c_scales_its_gram_matrix_by_c_squared() -> None:
    y = maps()
    assert gram_distance(3 * y, y).tolist() == pytest.approx([64.0] * 3)  # (9 - 1)^2


def test_gram_distance_does_not_see_where_things_are() -> None:
    y = maps()
    moved = y.flatten(2)[..., torch.randperm(30, generator=torch.Generator().manual_seed(2))].reshape(y.shape)
    assert gram_distance(moved, y).tolist() == pytest.approx([0] * 3, abs=1e-25)
    assert (perceptual_distance(moved, y) > 0.5).all()


def test_perceptual_distance_is_numpys_row_by_row() -> None:
    x, y = maps(0), maps(1)
    for row, value in enumerate(perceptual_distance(x, y)):
        f, g = (z[row].numpy() / np.linalg.norm(z[row].numpy(), axis=0) for z in (x, y))
        assert float(value) == pytest.approx(np.linalg.norm(f - g, axis=0).__pow__(2).mean(), rel=1e-9)


def test_perceptual_distance_of_vectors_at_an_angle_is_two_minus_twice_its_cosine() -> None:
    angles = torch.tensor([0.0, 0.3, torch.pi / 2, torch.pi], dtype=torch.float64)
    x = torch.stack([angles.cos(), angles.sin()], 1)[:, :, None, None].expand(4, 2, 3, 3)
    y = torch.tensor([5.0, 0.0], dtype=torch.float64).reshape(1, 2, 1, 1).expand(4, 2, 3, 3)
    torch.testing.assert_close(perceptual_distance(7 * x, y), 2 - 2 * angles.cos(), atol=1e-9, rtol=0)
    torch.testing.assert_close(perceptual_distance(x[..., 0, 0], y[..., 0, 0]), 2 - 2 * angles.cos(), atol=1e-9, rtol=0)


@pytest.mark.parametrize("metric", [gram_distance, perceptual_distance])
def test_positions_without_activation_and_single_positions_are_finite(metric: object) -> None:
    zeros, ones = torch.zeros(1, 4, 2, 2), torch.ones(1, 4, 2, 2)
    assert metric(zeros, zeros).item() == 0  # type: ignore[operator]
    assert metric(zeros, ones).item() == pytest.approx(1)  # type: ignore[operator]
    vectors = maps(0, (3, 6))
    torch.testing.assert_close(metric(vectors, vectors[0]), metric(vectors, vectors[:1].expand(3, -1)))  # type: ignore[operator]
    assert metric(vectors, vectors[0])[0].item() == pytest.approx(0, abs=1e-15)  # type: ignore[operator]
    feature = maps(0)
    torch.testing.assert_close(metric(feature, feature[0]), metric(feature, feature[:1].expand(3, -1, -1, -1)))  # type: ignore[operator]


def photographs(size: int) -> tuple[Tensor, Tensor]:
    y = torch.stack([torch.from_numpy(load_image(f"sample:{name}", size)) for name in ("coffee", "chelsea")])
    noise = torch.randn(y.shape, generator=torch.Generator().manual_seed(0))
    return (y + torch.tensor([0.03, 0.2]).reshape(2, 1, 1, 1) * noise).clamp(0, 1), y


def test_it_is_lpips_without_learned_weights() -> None:
    from torchmetrics.functional.image.lpips import _LPIPS

    network = open_network("alexnet", "random", seed=3)
    theirs = _LPIPS(pretrained=False, net="alex", pnet_rand=True, use_dropout=False)
    for part in (getattr(theirs.net, f"slice{i}") for i in range(1, 6)):
        for index, module in part.named_children():
            module.load_state_dict(network.module.get_submodule(f"features.{index}").state_dict())
    for linear in theirs.lins:
        torch.nn.init.ones_(linear.model[0].weight)
    x, y = photographs(64)
    name = "perceptual_distance@" + "+".join(f"conv{i}/relu" for i in range(1, 6))
    found = measure(network, [name], x, y, ["conv3/relu"])[name]
    with torch.no_grad():
        total = theirs(x, y, normalize=True).flatten()
    # The rounded constants of LPIPS's input scale, and its 1e-8 under the root, make the difference.
    torch.testing.assert_close(found, total / 5, rtol=5e-3, atol=0)
    assert found[1] > 2 * found[0]


@pytest.fixture(scope="module")
def network() -> Classifier:
    return open_network()


def test_layers_are_the_metrics_own_the_matched_or_spread_over_the_scales(network: Classifier) -> None:
    matched = ["features.3", "conv4"]

    def layers(name: str) -> tuple[str, ...]:
        return metric_layers(name, network, matched[1:], 48)

    assert layers("psnr") == ()
    assert layers("feature_error") == ("conv4/lin",)
    assert layers("gram_distance") == ("conv1/relu", "conv2/relu", "conv3/relu")
    assert layers("perceptual_distance@conv5+pool1") == ("conv5/lin", "pool1")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("alexnet", "conv1/relu conv2/relu conv3/relu"),
        ("vgg11", "conv1_1/relu conv2_1/relu conv3_1/relu conv4_1/relu conv5_1/relu"),
        ("resnet18", "conv1/relu layer1.0/conv1/relu layer2.0/conv1/relu layer3.0/conv1/relu layer4.0/conv1/relu"),
    ],
)
def test_spread_layers_are_the_first_activation_at_each_stride(name: str, expected: str) -> None:
    from restoration_core.networks import outline_network
    from restoration_core.networks.layer_names.spread_layers import spread_layers

    assert list(spread_layers(outline_network(name), 96)) == expected.split()


def test_spread_layers_of_networks_without_readable_names_are_activations() -> None:
    from torch import nn

    from restoration_core.networks import outline_network
    from restoration_core.networks.layer_names.spread_layers import spread_layers

    outline = outline_network("mobilenet_v3_small")
    layers = spread_layers(outline, 96)
    assert [outline.stride(layer) for layer in layers] == [2, 4, 8, 16, 32]
    assert all(isinstance(outline.module.get_submodule(layer), nn.ReLU | nn.Hardswish) for layer in layers)


def test_a_metric_over_layers_is_the_mean_of_it_over_each(network: Classifier) -> None:
    x, y = photographs(32)
    for metric in ("gram_distance", "perceptual_distance", "feature_error"):
        names = [f"{metric}@conv1/relu", f"{metric}@conv3", f"{metric}@conv1/relu+conv3"]
        one, other, both = measure(network, names, x, y, ["pool1"]).values()
        torch.testing.assert_close(both, (one + other) / 2)
        assert (both[0] < both[1]).item()


def test_each_picture_is_measured_alone(network: Classifier) -> None:
    from restoration_core.metrics import METRICS

    x, y = photographs(32)
    together = measure(network, METRICS, x, y, ["conv3/relu"])
    alone = measure(network, METRICS, x[1:], y[1:], ["conv3/relu"])
    assert set(together) == set(METRICS)
    for name, values in together.items():
        assert values.shape == (2,)
        torch.testing.assert_close(values[1:], alone[name], rtol=1e-4, atol=1e-6)
