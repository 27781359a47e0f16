"""A small AlexNet with local response normalisation, for CIFAR-10 pictures and for photographs of any size.

The layers carry AlexNet's names and order (Krizhevsky et al. 2012): ``conv1 lrn1 pool1 conv2 lrn2 pool2 conv3 conv4
conv5 pool5 fc6 fc7 fc8``. Everything up to ``pool5`` is convolutional and takes pictures of any size; the fully
connected layers need 32 x 32.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
MEAN = (0.4914, 0.4822, 0.4465)
STD = (0.2470, 0.2435, 0.2616)
NATIVE_SIZE = 32


class LocalResponseNorm(nn.Module):
    """Cross-channel normalisation ``y_c = x_c / (k + alpha/n * sum_{|d| <= n//2} x_{c+d}^2)^0.75``.

    The same function as ``torch.nn.LocalResponseNorm`` with ``beta = 0.75``; the windowed sum is a 1 x 1 convolution
    with a banded matrix, several times faster on a CPU than torch's average over a five-dimensional view, and the
    gradient is the closed form.

    Args:
        channels: number of channels C of the maps it takes, ``(B, C, H, W)``.
        size: window n in channels (odd).
        alpha: weight of the squared sum.
        k: additive constant.
    """

    band: Tensor

    def __init__(self, channels: int, size: int = 5, alpha: float = 1e-4, k: float = 2.0) -> None:
        super().__init__()
        self.k = k
        index = torch.arange(channels)
        band = ((index[:, None] - index[None, :]).abs() <= size // 2).float() * (alpha / size)
        self.register_buffer("band", band[:, :, None, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        normalised: Tensor = _Normalise.apply(x, self.band.to(x.dtype), self.k)
        return normalised


class _Normalise(torch.autograd.Function):
    """``y = x s^(-3/4)``, ``s = k + band * x^2``; ``dx = g s^(-3/4) - 3/2 x (band^T * (g x s^(-7/4)))``."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, band: Tensor, k: float) -> Tensor:
        inverse_root = F.conv2d(x * x, band).add_(k).rsqrt_()
        power = inverse_root.sqrt().mul_(inverse_root)
        ctx.save_for_backward(x, inverse_root, power, band)
        return x * power

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, None, None]:
        x, inverse_root, power, band = ctx.saved_tensors
        gradient = grad_output * power
        spread = (gradient * x).mul_(inverse_root).mul_(inverse_root)
        spread = F.conv2d(spread, band.transpose(0, 1)).mul_(x)
        return gradient.add_(spread, alpha=-1.5), None, None


class CifarAlexNet(nn.Module):
    """AlexNet's layer sequence at CIFAR scale, 0.84 M parameters (3.4 MB in float32).

    Args:
        batch_norm: insert batch normalisation behind every convolution and hidden linear layer. Used in training
            only; :func:`fold_batch_norm` removes it without changing the function.

    Shape:
        Input ``(B, 3, H, W)``, normalised with ``MEAN`` and ``STD``; output ``(B, 10)`` logits.
    """

    relu1: nn.ReLU
    relu2: nn.ReLU
    relu3: nn.ReLU
    relu4: nn.ReLU
    relu5: nn.ReLU
    relu6: nn.ReLU
    relu7: nn.ReLU

    def __init__(self, batch_norm: bool = False) -> None:
        super().__init__()

        def norm(channels: int, flat: bool = False) -> nn.Module:
            if not batch_norm:
                return nn.Identity()
            return nn.BatchNorm1d(channels) if flat else nn.BatchNorm2d(channels)

        self.conv1, self.norm1 = nn.Conv2d(3, 48, 5, padding=2), norm(48)
        self.lrn1 = LocalResponseNorm(48, alpha=0.05, k=1.0)
        self.pool1 = nn.MaxPool2d(3, 2, padding=1)
        self.conv2, self.norm2 = nn.Conv2d(48, 96, 3, padding=1), norm(96)
        self.lrn2 = LocalResponseNorm(96, alpha=0.05, k=1.0)
        self.pool2 = nn.MaxPool2d(3, 2, padding=1)
        self.conv3, self.norm3 = nn.Conv2d(96, 128, 3, padding=1), norm(128)
        self.conv4, self.norm4 = nn.Conv2d(128, 128, 3, padding=1), norm(128)
        self.conv5, self.norm5 = nn.Conv2d(128, 96, 3, padding=1), norm(96)
        self.pool5 = nn.MaxPool2d(3, 2, padding=1)
        self.fc6, self.norm6 = nn.Linear(96 * 4 * 4, 256), norm(256, flat=True)
        self.fc7, self.norm7 = nn.Linear(256, 128), norm(128, flat=True)
        self.fc8 = nn.Linear(128, len(CLASSES))
        # One module per ReLU, so that each can be tapped by name; not in place, so that "conv1/lin" survives it.
        for stage in range(1, 8):
            setattr(self, f"relu{stage}", nn.ReLU())
        self.softmax = nn.Softmax(dim=1)

    def features(self, x: Tensor) -> Tensor:
        """Return the ``pool5`` maps, ``(B, 96, ceil(H/8), ceil(W/8))``, of pictures of any size."""
        x = self.pool1(self.lrn1(self.relu1(self.norm1(self.conv1(x)))))
        x = self.pool2(self.lrn2(self.relu2(self.norm2(self.conv2(x)))))
        x = self.relu3(self.norm3(self.conv3(x)))
        x = self.relu4(self.norm4(self.conv4(x)))
        return self.pool5(self.relu5(self.norm5(self.conv5(x))))

    def logits(self, x: Tensor) -> Tensor:
        """Return class scores before the softmax, ``(B, 10)``, of 32 x 32 pictures."""
        x = self.features(x).flatten(1)
        x = self.relu6(self.norm6(self.fc6(x)))
        return self.fc8(self.relu7(self.norm7(self.fc7(x))))

    def forward(self, x: Tensor) -> Tensor:
        return self.softmax(self.logits(x))


def fold_batch_norm(trained: CifarAlexNet) -> CifarAlexNet:
    """Return the network without batch normalisation that computes the same function in evaluation mode.

    A normalisation ``(z - m) / s * g + b`` behind ``z = W x + c`` is the layer ``(g/s) W x + (c - m) g/s + b``.

    Args:
        trained: a network built with ``batch_norm=True``.

    Returns:
        A ``CifarAlexNet(batch_norm=False)`` in evaluation mode.
    """
    plain = CifarAlexNet(batch_norm=False)
    state = {key: value.clone() for key, value in trained.state_dict().items() if not key.startswith("norm")}
    for stage in range(1, 8):
        layer = f"conv{stage}" if stage <= 5 else f"fc{stage}"
        norm = getattr(trained, f"norm{stage}")
        if isinstance(norm, nn.Identity):
            raise ValueError("fold_batch_norm needs a network with batch normalisation, but got one without")
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        weight = state[f"{layer}.weight"]
        state[f"{layer}.weight"] = weight * scale.reshape(-1, *[1] * (weight.ndim - 1))
        state[f"{layer}.bias"] = (state[f"{layer}.bias"] - norm.running_mean) * scale + norm.bias
    plain.load_state_dict(state)
    return plain.eval()
