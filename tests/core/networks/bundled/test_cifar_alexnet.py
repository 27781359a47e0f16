from __future__ import annotations

import pytest
import torch
from torch import nn

from restoration_core.networks.bundled.cifar_alexnet import CifarAlexNet, LocalResponseNorm, fold_batch_norm
from restoration_core.networks.catalogue import BUNDLED


@pytest.mark.parametrize(("channels", "size", "alpha", "k"), [(48, 5, 0.05, 1.0), (7, 3, 2.0, 2.0), (3, 5, 1.0, 1.0)])
def test_response_normalisation_is_torchs(channels: int, size: int, alpha: float, k: float) -> None:
    x = torch.randn(2, channels, 5, 6, dtype=torch.float64)
    theirs = nn.LocalResponseNorm(size, alpha=alpha, beta=0.75, k=k)
    torch.testing.assert_close(LocalResponseNorm(channels, size, alpha, k).double()(x), theirs(x))


def test_local_response_norm_has_the_gradient_of_its_function() -> None:
    x = torch.randn(2, 7, 3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(3), requires_grad=True)
    norm = LocalResponseNorm(7, 5, alpha=0.3, k=0.7).double()
    assert torch.autograd.gradcheck(norm, (x,))
    reference = nn.LocalResponseNorm(5, alpha=0.3, beta=0.75, k=0.7)
    weights = torch.arange(1.0, x.numel() + 1, dtype=torch.float64).reshape(x.shape)
    (ours,) = torch.autograd.grad((norm(x) * weights).sum(), x)
    (theirs,) = torch.autograd.grad((reference(x) * weights).sum(), x)
    torch.testing.assert_close(ours, theirs)


def test_the_network_with_torchs_response_normalisation_gives_the_same_logits() -> None:
    network = CifarAlexNet().double().eval()
    x = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    logits = network.logits(x)
    for name in ("lrn1", "lrn2"):
        setattr(network, name, nn.LocalResponseNorm(5, alpha=0.05, beta=0.75, k=1.0))
    torch.testing.assert_close(network.logits(x), logits)


def test_folding_batch_normalisation_keeps_the_function() -> None:
    trained = CifarAlexNet(batch_norm=True).double().train()
    for _ in range(3):
        trained(torch.randn(16, 3, 32, 32, dtype=torch.float64) * 2 + 1)
    for module in trained.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.normal_(module.bias)
    trained.eval()
    x = torch.randn(4, 3, 32, 32, dtype=torch.float64)
    folded = fold_batch_norm(trained).double()
    torch.testing.assert_close(folded.logits(x).float(), trained.logits(x).float(), atol=1e-4, rtol=1e-4)
    assert not any(isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d) for m in folded.modules())


def test_folding_a_network_without_batch_normalisation_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a network with batch normalisation"):
        fold_batch_norm(CifarAlexNet())


def test_the_bundled_file_is_at_most_four_megabytes() -> None:
    assert BUNDLED.stat().st_size <= 4_000_000
