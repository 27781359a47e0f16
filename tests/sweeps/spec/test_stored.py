"""A stored spec is read back, and one of another version is refused in one line."""

from __future__ import annotations

import pytest

from restoration_core.errors import InputError
from sweeps.spec.stored import stored_spec
from tests.sweeps.sweeps_in_store import make_spec


def test_a_spec_comes_back_as_it_was_stored() -> None:
    spec = make_spec()
    assert stored_spec("test", spec.model_dump()).model_dump() == spec.model_dump()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"pruner_of_tomorrow": 3}, "pruner_of_tomorrow: Extra inputs are not permitted, but got 3"),
        ({"image_size": "large"}, "image_size: .*, but got 'large'"),
    ],
)
def test_a_spec_of_another_version_is_refused_in_one_line(change: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=f"stored spec of sweep 'test' does not fit this version: {said}") as caught:
        stored_spec("test", {**make_spec().model_dump(), **change})
    assert "\n" not in str(caught.value)
