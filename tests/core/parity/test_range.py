"""Alpha norm, isotropic range and the hard bound against numbers worked out by hand."""

from __future__ import annotations

import pytest
import torch

from restoration_core.errors import InputError
from restoration_core.priors.hand_crafted.alpha_norm import AlphaNorm
from restoration_core.priors.hand_crafted.isotropic_range import IsotropicRange, project_to_bound
from restoration_core.reconstruction import solve
from tests.core.parity.conftest import columns, mirror, standing

# Two pixels: red 0 2, green 1 1, blue 0 8. Mean over everything 12 / 6 = 2, per channel 1, 1, 4.
PICTURE = torch.tensor([[[[0.0, 2.0]], [[1.0, 1.0]], [[0.0, 8.0]]]], dtype=torch.float64)


@pytest.mark.parametrize(
    ("prior", "squares", "sixths"),
    [
        # Deviations -2 0, -1 -1, -2 6.
        (AlphaNorm, 4 + 0 + 1 + 1 + 4 + 36, 64 + 0 + 1 + 1 + 64 + 46656),
        # Deviations -1 1, 0 0, -4 4.
        (lambda alpha: AlphaNorm(alpha, "channel"), 1 + 1 + 16 + 16, 1 + 1 + 4096 + 4096),
        # From (0, 1, 2): 0 2, 0 0, -2 6.
        (lambda alpha: AlphaNorm(alpha, "data", (0.0, 1.0, 2.0)), 4 + 4 + 36, 64 + 64 + 46656),
        # The same deviations, a norm per pixel: sqrt(4), sqrt(4 + 36).
        (lambda alpha: IsotropicRange(alpha, (0.0, 1.0, 2.0)), 4 + 40, 4**3 + 40**3),
    ],
    ids=["eq. 4: own mean", "own mean per channel", "the data set's mean", "eq. 6: isotropic"],
)
def test_energies_of_every_centre(prior: type[AlphaNorm], squares: float, sixths: float) -> None:
    assert prior(2.0).energy(PICTURE).item() == pytest.approx(squares / 2, rel=1e-12)
    assert prior(6.0).energy(PICTURE).item() == pytest.approx(sixths / 2, rel=1e-12)


def test_gradients_of_every_centre() -> None:
    # alpha = 2: twice the deviations over two pixels; the deviations from an own mean sum to zero already.
    for prior, deviations in (
        (AlphaNorm(2.0), [-2.0, 0.0, -1.0, -1.0, -2.0, 6.0]),
        (AlphaNorm(2.0, "channel"), [-1.0, 1.0, 0.0, 0.0, -4.0, 4.0]),
        (AlphaNorm(2.0, "data", (0.0, 1.0, 2.0)), [0.0, 2.0, 0.0, 0.0, -2.0, 6.0]),
    ):
        assert prior.gradient(PICTURE).flatten().tolist() == pytest.approx(deviations)
    # alpha = 6, per channel: 6 d^5 over two pixels; odd powers of -4 and 4 have no mean: -3072 3072 for blue.
    assert AlphaNorm(6.0, "channel").gradient(PICTURE)[0, 2, 0].tolist() == pytest.approx([-3072, 3072])
    # alpha = 6, own mean: 3 (s - mean(s)) with s = -32 0 -1 -1 -32 7776, mean 7710 / 6 = 1285.
    own = [3 * (s - 1285) for s in (-32, 0, -1, -1, -32, 7776)]
    assert AlphaNorm(6.0).gradient(PICTURE).flatten().tolist() == pytest.approx(own)


def test_the_alpha_norm_prefers_grey_to_colour_of_the_same_norm_and_the_isotropic_range_does_not() -> None:
    # (5, 0, 0) and (3, 4, 0): 5^6 = 15625 against 3^6 + 4^6 = 4825 per channel, (25)^3 = 15625 for both when isotropic.
    pure, mixed = (torch.tensor(c, dtype=torch.float64).reshape(1, 3, 1, 1) for c in ([5.0, 0, 0], [3.0, 4, 0]))
    data = AlphaNorm(6.0, "data", (0.0, 0.0, 0.0))
    assert (data.energy(pure).item(), data.energy(mixed).item()) == pytest.approx((15625, 4825))
    isotropic = IsotropicRange(6.0)
    assert (isotropic.energy(pure).item(), isotropic.energy(mixed).item()) == pytest.approx((15625, 15625))


@pytest.mark.parametrize("alpha", [1.5, 2.0, 3.0, 6.0])
@pytest.mark.parametrize(("centre", "mean"), [("picture", None), ("channel", None), ("data", (0.4, 0.5, 0.1))])
def test_every_centre_passes_gradcheck(alpha: float, centre: str, mean: tuple[float, ...] | None) -> None:
    x = torch.rand(2, 3, 3, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(AlphaNorm(alpha, centre, mean).differentiable, x)


def test_a_mean_goes_with_the_data_sets_centre_alone() -> None:
    with pytest.raises(InputError, match=r"unknown alpha_norm\.centre 'own'; valid: picture, channel, data"):
        AlphaNorm(6.0, "own")
    with pytest.raises(InputError, match=r"alpha_norm\.mean goes with centre 'data', but got None with 'data'"):
        AlphaNorm(6.0, "data")
    with pytest.raises(InputError, match="valid: a mean per channel with 'data', none otherwise"):
        AlphaNorm(6.0, "picture", (0.5, 0.5, 0.5))
    with pytest.raises(InputError, match=r"alpha_norm\.mean has 1 values for 3 channels"):
        AlphaNorm(6.0, "data", (0.5,)).energy(PICTURE)


def test_the_bound_shortens_the_colours_norm_on_0_to_255_and_keeps_its_direction() -> None:
    # Norms of z: sqrt(120^2 + 160^2) = 200 -> 160, that is (96, 128, 0); (30, 40, 0) = 50 stays.
    z = torch.tensor([[120.0, 30.0], [160.0, 40.0], [0.0, 0.0]], dtype=torch.float64).reshape(1, 3, 1, 2)
    bounded = 255 * (project_to_bound(0.4 + z / 255, 160.0, (0.4,) * 3) - 0.4)
    torch.testing.assert_close(bounded.flatten(2)[0], torch.tensor([[96.0, 30.0], [128.0, 40.0], [0.0, 0.0]]).double())


def test_a_step_ends_with_the_bound_about_the_networks_mean() -> None:
    # Grey of 0.9 about a mean of 0.4: z = 127.5 in every channel, norm 127.5 sqrt(3) = 220.8 -> 160.
    problem = standing(columns(0.9, 0.5, 0.4), bound=160.0, iterations=1)
    (result,) = solve(mirror(0.4), [problem], 3, dtype=torch.float64)
    expected = columns(0.4 + 160 / 3**0.5 / 255, 0.5, 0.4)
    torch.testing.assert_close(result.image, expected, rtol=0, atol=1e-9)
