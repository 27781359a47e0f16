"""docs/SPEC.md is what the code says, and says everything."""

from __future__ import annotations

import re
from pathlib import Path

from sweeps.search.space import SearchSpace
from sweeps.spec.load import parse_spec
from sweeps.spec.models import BASELINES, SAMPLERS, SweepSpec
from sweeps.spec.parameter import DISTRIBUTIONS
from sweeps.spec.parameter_names import OF_HAND_CRAFTED, OF_TRAINED, OPTIMISER
from sweeps.spec.writing.entries import sections
from sweeps.spec.writing.page import page

PAGE = Path(__file__).parents[4] / "docs" / "SPEC.md"


def test_the_committed_page_is_what_the_code_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "docs/SPEC.md is out of date: make spec-page"


def test_every_key_parameter_and_choice_is_on_the_page() -> None:
    text = page()
    names = [name for name, field in SweepSpec.model_fields.items() if not field.exclude]
    names += [*OPTIMISER, *(f"priors.image.{child}" for child in OF_TRAINED)]
    names += [f"{group}.{child}" for group, children in OF_HAND_CRAFTED.items() for child in children]
    for name in names:
        assert re.search(rf"^\| `{re.escape(name)}` \|", text, flags=re.MULTILINE), name
    for choice in (*SAMPLERS, *BASELINES, *DISTRIBUTIONS[:-1]):
        assert re.search(rf"\b{choice}\b", text), choice


def test_every_entry_says_what_it_means_and_fits_its_cell() -> None:
    for section in sections():
        assert section.entries, section.title
        for entry in section.entries:
            assert entry.meaning, entry.name
            assert "\n" not in entry.meaning


def test_the_example_on_the_page_is_valid() -> None:
    (example,) = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    spec = parse_spec(example)
    assert len(SearchSpace.from_spec(spec).names) == 4


def test_defaults_on_the_page_hold_where_a_spec_is_silent() -> None:
    spec = SweepSpec.model_validate(
        {"name": "x", "images": ["sample:coffee"], "match": "conv3/relu", "parameters": {"learning_rate": {"value": 1}}}
    )
    found = {entry.name: entry.default.strip("`") for section in sections() for entry in section.entries}
    assert found["image_size"] == str(spec.image_size)
    assert found["method.sampler"] == spec.method.sampler
    assert found["budget.iterations"] == str(spec.budget.iterations)
    assert found["network.name"] == spec.network.name
    assert found["images"] == "must be given"
