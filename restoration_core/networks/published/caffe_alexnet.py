"""Caffe's AlexNet, the network of MV15 and MV16: 96 first filters, groups, local response normalisation."""

from __future__ import annotations

from torch import Tensor, nn

from restoration_core.networks.bundled.cifar_alexnet import LocalResponseNorm

MEAN_PIXEL_BGR = (104.00698793, 116.66876762, 122.67891434)
"""Mean of the ILSVRC-2012 training pictures on 0..255, as published with Caffe."""
MEAN = (MEAN_PIXEL_BGR[2] / 255, MEAN_PIXEL_BGR[1] / 255, MEAN_PIXEL_BGR[0] / 255)
STD = (1 / 255, 1 / 255, 1 / 255)
NATIVE_SIZE = 227


class CaffeAlexNet(nn.Module):
    """AlexNet as Caffe published it, 61 M parameters.

    Its parameters are those of the published file: ``conv1`` reads the channels blue, green, red. So that pictures are
    RGB at every interface, the forward pass turns them around first.

    Shape:
        Input ``(B, 3, H, W)``, RGB, ``255 (x - MEAN)``; output ``(B, 1000)`` probabilities. The fully connected layers
        need 227 x 227 (pooling rounds up, as Caffe's does: 6 x 6 positions in ``pool5``).

    Source:
        Krizhevsky, Sutskever, Hinton 2012, as Caffe's ``bvlc_alexnet``: normalisation comes before pooling.
    """

    relu1: nn.ReLU
    relu2: nn.ReLU
    relu3: nn.ReLU
    relu4: nn.ReLU
    relu5: nn.ReLU
    relu6: nn.ReLU
    relu7: nn.ReLU

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 96, 11, stride=4)
        self.lrn1 = LocalResponseNorm(96, size=5, alpha=1e-4, k=1.0)
        self.pool1 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.conv2 = nn.Conv2d(96, 256, 5, padding=2, groups=2)
        self.lrn2 = LocalResponseNorm(256, size=5, alpha=1e-4, k=1.0)
        self.pool2 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.conv3 = nn.Conv2d(256, 384, 3, padding=1)
        self.conv4 = nn.Conv2d(384, 384, 3, padding=1, groups=2)
        self.conv5 = nn.Conv2d(384, 256, 3, padding=1, groups=2)
        self.pool5 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.fc6, self.fc7, self.fc8 = nn.Linear(256 * 6 * 6, 4096), nn.Linear(4096, 4096), nn.Linear(4096, 1000)
        for stage in range(1, 8):
            setattr(self, f"relu{stage}", nn.ReLU())
        self.softmax = nn.Softmax(dim=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool1(self.lrn1(self.relu1(self.conv1(x.flip(1)))))
        x = self.pool2(self.lrn2(self.relu2(self.conv2(x))))
        x = self.relu4(self.conv4(self.relu3(self.conv3(x))))
        x = self.pool5(self.relu5(self.conv5(x))).flatten(1)
        x = self.relu7(self.fc7(self.relu6(self.fc6(x))))
        probabilities: Tensor = self.softmax(self.fc8(x))
        return probabilities
