"""Random patches: where they come from, that no place comes twice, and what is refused."""

from __future__ import annotations

import pytest
import torch

from restoration_core.errors import InputError
from restoration_core.priors.maps.photographs import Photographs
from restoration_core.priors.patch_experts.whitened_patches.patches import plan_patches, stream_patches


def drawn(pictures: list[torch.Tensor], size: int, count: int, seed: int) -> torch.Tensor:
    """All patches of a plan in their shuffled order, ``(count, 3 size^2)``."""
    source = Photographs("samples", pictures)
    plan = plan_patches(source.sizes, size, count, seed)
    places, patches = zip(*stream_patches(source, plan), strict=True)
    return torch.cat(patches)[torch.cat(places).argsort()]


def coordinates(height: int, width: int, number: int) -> torch.Tensor:
    """A picture whose channels are row, column and its own number."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([rows, columns, torch.full_like(rows, number)]).float()


def test_every_place_comes_once_when_all_are_drawn() -> None:
    patches = drawn([coordinates(6, 5, 0)], 3, 12, seed=0).reshape(12, 3, 3, 3)
    corners = {(int(patch[0, 0, 0]), int(patch[1, 0, 0])) for patch in patches}
    assert corners == {(row, column) for row in range(4) for column in range(3)}
    # A patch is a window of the picture, channel by channel, not turned.
    torch.testing.assert_close(patches[:, 0, 2, 0] - patches[:, 0, 0, 0], torch.full((12,), 2.0))
    torch.testing.assert_close(patches[:, 1, 0, 2] - patches[:, 1, 0, 0], torch.full((12,), 2.0))


def test_pictures_of_different_sizes_give_equal_shares() -> None:
    patches = drawn([coordinates(40, 40, 0), coordinates(9, 12, 1)], 4, 41, seed=0)
    numbers = patches.reshape(41, 3, 16)[:, 2, 0]
    assert (int((numbers == 0).sum()), int((numbers == 1).sum())) == (21, 20)


def test_same_seed_same_patches_and_another_seed_others() -> None:
    pictures = [torch.rand(3, 30, 30, generator=torch.Generator().manual_seed(0))]
    first, again, other = (drawn(pictures, 5, 50, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_more_patches_than_places_are_refused() -> None:
    with pytest.raises(
        InputError, match=r"has 12 patches of 3 x 3 but 13 are wanted of it; valid: .* at most 12 patches"
    ):
        plan_patches([(6, 5)], 3, 13, seed=0)


def test_picture_smaller_than_a_patch_is_refused() -> None:
    with pytest.raises(InputError, match="picture 0 of 9 x 3 px has 0 patches of 4 x 4"):
        plan_patches([(3, 9)], 4, 1, seed=0)


def test_no_pictures_are_refused() -> None:
    with pytest.raises(InputError, match="at least one is needed"):
        plan_patches([], 4, 1, seed=0)
