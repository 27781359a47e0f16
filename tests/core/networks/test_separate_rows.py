"""On a CPU a picture's features and gradient are the same to the last bit in any batch of two or more."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from restoration_core.networks import Classifier, open_network
from restoration_core.networks.separate_rows import (
    MOST_ROWS,
    SeparateRowsAttention,
    SeparateRowsLinear,
    layer_with_other_rows,
    row_chunks,
    separate_rows,
)
from restoration_core.reconstruction import BatchSolver, FeatureMatch, Problem

pytestmark = pytest.mark.slow

WIDTHS = (2, 3, 4, 5, 7, 8, 9, 15, 16, 17)


def rows_are_equal(network: Classifier, layer: str, size: int, dtype: torch.dtype = torch.float32) -> None:
    network = network.to("cpu", dtype)
    x = torch.rand(18, 3, size, size, generator=torch.Generator().manual_seed(0)).to(dtype)
    first: dict[int, tuple[Tensor, Tensor]] = {}
    for width in WIDTHS:
        for start in (0, 1):
            part = x[start : start + width].clone().requires_grad_()
            found = network.features(part, [layer])[layer]
            (gradient,) = torch.autograd.grad(found.square().sum(), part)
            for row in range(width):
                before = first.setdefault(start + row, (found[row].detach(), gradient[row]))
                assert torch.equal(found[row], before[0]), (width, row)
                assert torch.equal(gradient[row], before[1]), (width, row)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("layer", ["fc6/lin", "fc8/lin", "softmax"])
def test_behind_dense_layers(layer: str, dtype: torch.dtype) -> None:
    rows_are_equal(open_network(), layer, 32, dtype)


@pytest.mark.parametrize(
    ("name", "layer"),
    [("alexnet", "fc8/lin"), ("resnet50", "layer2.3"), ("squeezenet1_1", "fire9"), ("swin_t", "features.3.1")],
)
@pytest.mark.slow
def test_behind_narrow_convolutions_and_attention(name: str, layer: str) -> None:
    rows_are_equal(open_network(name, "random"), layer, 64)


class Attending(nn.Module):
    def __init__(self, need_weights: bool) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 32, 4, 4)
        self.attention = nn.MultiheadAttention(32, 4, batch_first=True)
        self.head = nn.Linear(32, 10)
        self.need_weights = need_weights

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        tokens, _ = self.attention(tokens, tokens, tokens, need_weights=self.need_weights)
        return self.head(tokens[:, 0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("need_weights", [False, True])
def test_behind_multi_head_attention(need_weights: bool, dtype: torch.dtype) -> None:
    network = Classifier(Attending(need_weights), "attending", None, (0.5,) * 3, (0.2,) * 3, 16)  # type: ignore[arg-type]
    rows_are_equal(network, "head", 16, dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(1, 6), (3, 6), (9, 6), (3, 5, 6), (6,), (0, 6)])
def test_the_dense_layer_is_the_plain_one(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    plain = nn.Linear(6, 4).to(dtype)
    x = torch.randn(shape, dtype=dtype)
    expected = F.linear(x, plain.weight, plain.bias)
    separate_rows(plain)
    assert type(plain) is SeparateRowsLinear
    torch.testing.assert_close(plain(x), expected)


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_attention_is_the_plain_one(batch_first: bool, dtype: torch.dtype) -> None:
    plain = nn.MultiheadAttention(8, 2, batch_first=batch_first, kdim=5, vdim=6).to(dtype).eval()
    query, key, value = (torch.randn(3, 4, width, dtype=dtype) for width in (8, 5, 6))
    mask = torch.zeros(*((3, 4) if batch_first else (4, 3)), dtype=torch.bool)
    mask[0, 0] = True
    given = {"key_padding_mask": mask}
    expected, unmasked = plain(query, key, value, **given), plain(query, key, value)
    separate_rows(plain)
    assert type(plain) is SeparateRowsAttention
    for found, wanted in zip(plain(query, key, value, **given), expected, strict=True):
        torch.testing.assert_close(found, wanted)
    for found, wanted in zip(plain(query, key, value), unmasked, strict=True):
        torch.testing.assert_close(found, wanted)


def test_large_batches_pass_in_even_pieces_of_at_most_eight_and_never_one() -> None:
    for rows in range(1, 40):
        sizes = [len(chunk) for chunk in row_chunks(torch.zeros(rows, 1))]
        assert sum(sizes) == rows
        assert max(sizes) <= MOST_ROWS
        assert max(sizes) - min(sizes) <= 1
        assert min(sizes) > 1 or rows == 1


def test_reconstructions_of_a_dense_layer_are_the_same_pictures_in_batches_of_any_width() -> None:
    network = open_network()
    x = torch.rand(9, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    targets = network.features(x, ["fc7/relu"])["fc7/relu"]
    problems = [
        Problem((FeatureMatch("fc7/relu", target),), iterations=12, seed=row) for row, target in enumerate(targets)
    ]

    def pictures(width: int) -> list[Tensor]:
        found: dict[int, Tensor] = {}
        for start in range(0, len(problems), width):
            solver: BatchSolver[int] = BatchSolver(network, 32)
            for row in range(start, min(start + width, len(problems))):
                solver.add(row, problems[row])
            while solver.keys:
                found |= {key: result.image for key, result in solver.advance()}
        return [found[row] for row in range(len(problems))]

    alone = pictures(1)
    for width in (2, 4, 9):
        assert all(map(torch.equal, alone, pictures(width)))


def test_where_rows_differ_is_found_and_where_they_do_not_as_well() -> None:
    class PlainLinear(nn.Linear):
        """A dense layer of a user's own class, which is left as it is."""

    module = nn.Sequential(nn.Flatten(), PlainLinear(3 * 16 * 16, 200), nn.ReLU())
    dense = Classifier(module, "dense", None, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2), 16)
    differing = layer_with_other_rows(dense, ["1", "2"], 16)
    plain = nn.Linear(3 * 16 * 16, 200).requires_grad_(False)
    x = torch.rand(8, 3 * 16 * 16)
    if not torch.equal(plain(x)[:2], plain(x[:2])):  # so it is on the processors that we know
        assert differing == "1"
    separate = Classifier(nn.Sequential(nn.Flatten(), plain), "dense", None, (0.5,) * 3, (0.2,) * 3, 16)  # type: ignore[arg-type]
    assert layer_with_other_rows(separate, ["1"], 16) is None
