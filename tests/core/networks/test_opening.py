"""What happens when a network is opened: it is tried, and what does not follow each picture is no layer."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from restoration_core.errors import InputError
from restoration_core.networks import Classifier

pytestmark = pytest.mark.slow

SIZE = 16


class Plain(nn.Module):
    """Two convolutions; the cases below change what happens between them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.norm, self.inner = nn.BatchNorm2d(8), nn.Identity()

    def between(self, x: Tensor) -> Tensor:
        return x

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(self.between(F.relu(self.conv1(x))))


def opened(module: nn.Module, **options: Any) -> Classifier:
    return Classifier(module, "mine", None, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2), SIZE, **options)


def pictures(rows: int = 2) -> Tensor:
    return torch.rand(rows, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))


def works(network: Classifier, layer: str) -> None:
    """Features of several pictures are those of each, and gradients come back."""
    x = pictures().requires_grad_()
    together = network.features(x, [layer])[layer]
    assert together.shape[0] == 2
    assert together.shape[1:] == network.shape(layer, SIZE)
    alone = network.features(x[1:], [layer])[layer]
    torch.testing.assert_close(together[1:], alone, atol=1e-4, rtol=1e-3)
    (gradient,) = torch.autograd.grad(together.square().sum(), x)
    assert gradient.abs().sum() > 0


class Table(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(1, 8, SIZE, SIZE))

    def forward(self) -> Tensor:
        return self.table


class Positioned(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.inner = Table()

    def between(self, x: Tensor) -> Tensor:
        return x + self.inner()


class Windowed(Plain):
    def between(self, x: Tensor) -> Tensor:
        windows = x.unflatten(2, (2, -1)).transpose(1, 2).flatten(0, 1)
        return self.inner(windows + 0).unflatten(0, (-1, 2)).transpose(1, 2).flatten(2, 3)


class TimeFirst(Plain):
    def between(self, x: Tensor) -> Tensor:
        return self.inner(x.flatten(2).permute(2, 0, 1) + 0).permute(1, 2, 0).unflatten(2, (SIZE, SIZE))


class OneStepFirst(Plain):
    """``(1, B, C)``: with one picture the first axis looks like the batch."""

    def between(self, x: Tensor) -> Tensor:
        gate: Tensor = self.inner(x.mean((2, 3)).unsqueeze(0) + 0)
        return x * gate.squeeze(0)[:, :, None, None]


class Doubled(Plain):
    def between(self, x: Tensor) -> Tensor:
        both = self.inner(torch.cat([x, x.flip(3)]) + 0)
        return (both[: len(x)] + both[len(x) :]) / 2


class Indexed(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.argmax(1, keepdim=True)


class WithIndices(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.inner = Indexed()

    def between(self, x: Tensor) -> Tensor:
        return x + self.inner(x)


class Masked(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x > 0.1


class WithMask(WithIndices):
    def __init__(self) -> None:
        super().__init__()
        self.inner = Masked()


class Output(NamedTuple):
    last: Tensor
    states: tuple[Tensor, ...]


class Encoder(nn.Module):
    def forward(self, x: Tensor) -> Output:
        return Output(x + 1, (x,))


class WithTuple(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.inner = Encoder()

    def between(self, x: Tensor) -> Tensor:
        return self.inner(x).last


class Mapped(nn.Module):
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"last_hidden_state": x + 1}


class WithDictionary(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.inner = Mapped()

    def between(self, x: Tensor) -> Tensor:
        return self.inner(x)["last_hidden_state"]


class MeanOfBatch(Plain):
    """An inner module that mixes the batch, behind which each picture is on its own again."""

    def between(self, x: Tensor) -> Tensor:
        mean: Tensor = self.inner(x.mean(0, keepdim=True).expand_as(x) + 0)
        return (x - mean) + x.mean(0, keepdim=True)


NOT_THE_BATCH = "its first axis is not the batch"
NOT_DIFFERENTIABLE = "its values do not depend on the picture, or not in a way that can be differentiated"


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (Positioned, NOT_DIFFERENTIABLE),
        (Windowed, rf"{NOT_THE_BATCH}: one picture gives the shape \(2, 8, 8, 16\)"),
        (TimeFirst, rf"{NOT_THE_BATCH}: one picture gives the shape \(256, 1, 8\)"),
        (OneStepFirst, rf"{NOT_THE_BATCH}: two pictures give the shape \(1, 2, 8\)"),
        (Doubled, rf"{NOT_THE_BATCH}: one picture gives the shape \(2, 8, 16, 16\)"),
        (WithIndices, "its values are int64, not floating-point numbers"),
        (WithMask, "its values are bool, not floating-point numbers"),
        (WithTuple, "it returns Output, not one tensor"),
        (WithDictionary, "it returns dict, not one tensor"),
        (MeanOfBatch, "its values for a picture depend on the other pictures of the batch"),
    ],
)
def test_a_module_that_does_not_follow_each_picture_is_no_layer(build: Callable[[], nn.Module], reason: str) -> None:
    network = opened(build())
    assert network.layers == ("conv1", "conv2")
    with pytest.raises(InputError, match=f"mine: 'inner' is no layer: {reason}"):
        network.resolve("inner")
    works(network, "conv2")
    with pytest.raises(InputError, match="'inner' is no layer"):
        Classifier(build(), "mine", {"x": "inner"}, (0.0,) * 3, (1.0,) * 3, SIZE)  # type: ignore[arg-type]


def test_weight_norm_and_tied_weights_make_no_layers_of_parameters() -> None:
    module = Plain()
    module.conv1 = nn.utils.parametrizations.weight_norm(module.conv1)
    module.inner = nn.Conv2d(8, 8, 3, padding=1)
    module.inner.weight = module.conv2.weight
    module.between = module.inner.forward  # type: ignore[method-assign]
    network = opened(module)
    assert network.layers == ("conv1", "conv2")
    works(network, "conv2")


class WithoutGradient(Plain):
    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)


class Inferring(Plain):
    @torch.inference_mode()
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)


@pytest.mark.parametrize("build", [WithoutGradient, Inferring])
def test_a_network_without_gradients_has_no_layer(build: Callable[[], nn.Module]) -> None:
    with pytest.raises(InputError, match=f"network 'mine' has no layer to match \\('conv1': {NOT_DIFFERENTIABLE}"):
        opened(build())


class Detached(Plain):
    def between(self, x: Tensor) -> Tensor:
        return x.data


class Checkpointed(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return self.inner(checkpoint(self.conv2, F.relu(self.conv1(x)), use_reentrant=True) + 0)


@pytest.mark.parametrize("build", [Detached, Checkpointed])
def test_layers_behind_the_place_where_the_gradient_ends_are_none(build: Callable[[], nn.Module]) -> None:
    network = opened(build())
    assert network.layers == ("conv1",)
    works(network, "conv1")
    with pytest.raises(InputError, match=f"'conv2' is no layer: {NOT_DIFFERENTIABLE}"):
        network.features(pictures(), ["conv2"])


def test_behind_a_reentrant_checkpoint_nothing_can_be_differentiated() -> None:
    with pytest.raises(InputError, match=r"'inner' is no layer: its values cannot be differentiated \(When use_reentr"):
        opened(Checkpointed()).resolve("inner")


@pytest.mark.parametrize("compiled", [torch.jit.script, lambda m: torch.jit.trace(m.eval(), pictures(1))])
def test_a_script_module_is_refused_and_so_is_a_network_around_one(compiled: Callable[[nn.Module], Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        script = compiled(nn.Sequential(nn.Conv2d(3, 4, 3)))
    with pytest.raises(InputError, match=r"network 'mine': it is a ScriptModule .* valid: the eager torch.nn.Module"):
        opened(script)
    with pytest.raises(InputError, match="network 'mine': its module '0' is a ScriptModule"):
        opened(nn.Sequential(script, nn.ReLU()))


class Dropping(Plain):
    def between(self, x: Tensor) -> Tensor:
        return F.dropout(x, 0.5)


class Counting(Plain):
    calls = 0

    def between(self, x: Tensor) -> Tensor:
        self.calls += 1
        return x * self.calls


class NeverEvaluating(Plain):
    """`train` that leaves dropout on, as Monte Carlo dropout does."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Dropout()

    def train(self, mode: bool = True) -> NeverEvaluating:
        return self

    def between(self, x: Tensor) -> Tensor:
        return self.inner(x)


@pytest.mark.parametrize("build", [Dropping, Counting, NeverEvaluating])
def test_a_network_that_gives_other_values_at_each_pass_is_refused(build: Callable[[], nn.Module]) -> None:
    message = r"network 'mine' is no function of each picture: layer '\w+' gives other values when the same pictures"
    with pytest.raises(InputError, match=message):
        opened(build())


class StatisticsOfTheBatch(Plain):
    def between(self, x: Tensor) -> Tensor:
        return self.norm.train()(x)


class Shuffled(Plain):
    def between(self, x: Tensor) -> Tensor:
        return x.flip(0)


class Centred(Plain):
    def between(self, x: Tensor) -> Tensor:
        return x - x[:1]


@pytest.mark.parametrize(
    "build",
    [StatisticsOfTheBatch, Shuffled, Centred, lambda: nn.Sequential(nn.BatchNorm2d(3, track_running_stats=False))],
)
def test_a_network_that_mixes_the_pictures_of_a_batch_is_refused(build: Callable[[], nn.Module]) -> None:
    message = r"no function of each picture: layer '\w+' gives a picture other values beside another in the batch"
    with pytest.raises(InputError, match=message):
        opened(build())


def test_a_network_for_exactly_one_picture_is_refused() -> None:
    class Single(Plain):
        def between(self, x: Tensor) -> Tensor:
            return x.reshape(8, -1).reshape(1, 8, SIZE, SIZE)

    with pytest.raises(InputError, match=r"mine: takes one picture but not two together: .*; valid: a batch"):
        opened(Single())


class Viewing(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(8 * SIZE * SIZE, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = super().forward(x)
        return self.inner(x.view(x.size(0), -1))


def test_a_network_that_looks_through_view_gets_contiguous_maps() -> None:
    module = Viewing()
    expected = module((pictures() - 0.5) / 0.2)
    network = opened(module)
    assert network.memory_format == torch.contiguous_format
    assert opened(Plain()).memory_format == torch.channels_last
    torch.testing.assert_close(network.features(pictures(), ["inner"])["inner"], expected, atol=1e-5, rtol=1e-4)
    works(network.to("cpu", torch.float64).to("cpu", torch.float32), "conv2")


class TrainReturnsNothing(Plain):
    def train(self, mode: bool = True) -> None:  # type: ignore[override]
        super().train(mode)
        self.norm.eval()


class Scaled(Plain):
    def forward(self, x: Tensor) -> Tensor:
        x.mul_(2).sub_(1)
        return super().forward(x)


class Remembering(Plain):
    def between(self, x: Tensor) -> Tensor:
        self.seen = x
        return x


class Instances(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.InstanceNorm2d(8, affine=True, track_running_stats=True)

    def between(self, x: Tensor) -> Tensor:
        return self.inner.train()(x)


class Three(Plain):
    """A part with five-dimensional weights, which have no channels_last."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Conv3d(8, 8, (1, 3, 3), padding=(0, 1, 1))

    def between(self, x: Tensor) -> Tensor:
        return self.inner(x.unsqueeze(2)).squeeze(2)


def lazy() -> nn.Module:
    return nn.Sequential(nn.LazyConv2d(8, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(4))


def hooked() -> nn.Module:
    module = Plain()
    module.conv1.register_forward_hook(lambda module, inputs, output: output * 2)
    return module


def inference_weights() -> nn.Module:
    with torch.inference_mode():
        return Plain()


def compiled() -> nn.Module:
    module = Plain()
    module.conv1 = torch.compile(module.conv1)
    module.conv2.compile()
    return torch.compile(module)


@pytest.mark.parametrize(
    ("build", "layer"),
    [
        (TrainReturnsNothing, "conv2"),
        (Scaled, "conv2"),
        (Remembering, "conv2"),
        (Instances, "conv2"),
        (Three, "inner"),
        (lazy, "3"),
        (hooked, "conv2"),
        (inference_weights, "conv2"),
        (compiled, "conv2"),
        (lambda: nn.DataParallel(Plain()), "conv2"),
        (lambda: torch.fx.symbolic_trace(Plain()), "conv2"),
    ],
)
def test_networks_of_every_make_are_cut_open(build: Callable[[], nn.Module], layer: str) -> None:
    network = opened(build())
    works(network, layer)
    moved = network.to("cpu", torch.float64)
    moved.features(pictures().double(), [layer])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_networks_of_other_precisions_are_cut_open_and_computed_in_float32(dtype: torch.dtype) -> None:
    network = opened(Plain().to(dtype))
    assert network.dtype == dtype
    works(network.to("cpu", torch.float32), "conv2")


def test_a_network_with_dynamic_quantisation_is_refused_because_its_scale_is_the_whole_batchs() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        inner = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(8, 8)), {nn.Linear})

    class Quantised(Plain):
        def __init__(self) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(self.conv1(x).mean((2, 3)))

    with pytest.raises(InputError, match=r"layer 'inner\.0' gives a picture other values beside another in the batch"):
        opened(Quantised())


def test_a_network_that_prints_leaves_standard_output_alone(capsys: pytest.CaptureFixture[str]) -> None:
    class Chatty(Plain):
        def between(self, x: Tensor) -> Tensor:
            print("shape", x.shape)
            return x

    opened(Chatty())
    assert capsys.readouterr().out == ""


def test_a_known_network_is_not_compared() -> None:
    assert opened(Dropping(), known=True).layers == ("conv1", "conv2")
    assert opened(Positioned(), known=True).layers == ("conv1", "conv2")
