"""Priors on maps, schedules and calibrated units in a spec: read, put under the network's names, refused at a line."""

from __future__ import annotations

import pytest

from restoration_core.errors import InputErrors
from sweeps.spec.load import parse_spec
from sweeps.spec.models import SweepSpec

HEAD = """\
images: [sample:coffee]
image_size: 32
match: conv3/relu
"""


def spec(parameters: str, head: str = HEAD) -> SweepSpec:
    return parse_spec(f"{head}parameters:\n" + "".join(f"  {line}\n" for line in parameters.splitlines()), "s.yaml")


def faults(parameters: str, head: str = HEAD) -> list[str]:
    with pytest.raises(InputErrors) as caught:
        spec(parameters, head)
    assert all("\n" not in line for line in caught.value.lines)
    return list(caught.value.lines)


def test_groups_go_under_the_networks_own_names_in_parameters_and_baselines() -> None:
    found = spec(
        "priors.relu1@a: {optional: true, weight: 0.1, bank: channelwise}\npriors.image@d.weight: 1",
        HEAD + "baselines: [{name: own, parameters: {priors.relu2.weight: 0.5}}]\n",
    )
    assert set(found.parameters) == {
        "priors.conv1/relu@a.enabled",
        "priors.conv1/relu@a.weight",
        "priors.conv1/relu@a.bank",
        "priors.image@d.weight",
    }
    assert found.baselines[0].parameters == {"priors.conv2/relu.weight": 0.5}
    assert SweepSpec.model_validate(found.model_dump()) == found.model_copy(update={"yaml_text": ""})


def test_a_layer_whose_name_ends_like_a_parameter_is_a_group_by_what_stands_below() -> None:
    text = "images: [a]\nmatch: conv1/relu\nparameters:\n  priors.block.prior: {weight: 0.1}\n"
    assert list(parse_spec(text, check=False).parameters) == ["priors.block.prior.weight"]


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("priors.conv1/rleu.weight: 1", ["unknown layer", "did you mean 'conv1/relu'"]),
        ("priors.conv1/relu.wieght: 1", ["did you mean 'priors.conv1/relu.weight'"]),
        ("priors.conv1/relu: 1", ["priors.conv1/relu must be a group"]),
        ("priors.image: 1", ["priors.image must be a group"]),
        ("priors.fc6/lin.weight: 1", ["fc6/lin", "no map"]),
        ("priors.conv3/lin: {weight: 1, patch_size: 20}", ["20 px do not fit the 8 x 8 maps of conv3/lin"]),
        ("priors.image: {weight: 1, patch_size: {values: [8, 40]}}", ["must be <= 32, but got 40"]),
        ("priors.conv1/relu: {weight: 1, patch_stride: 0}", ["patch_stride must be >= 1, but got 0"]),
        ("priors.image: {weight: 1, bank: separable}", ["for priors on maps"]),
        ("priors.conv1/relu: {weight: 1, bank: channelwise, dims: 99}", ["dims must be <= 25"]),
        ("priors.image: {weight: 1, noise_level: 0.1}", ["has no effect with expert student_t"]),
        ("priors.image: {weight: 1, expert: denoiser, patch_size: 8}", ["has no effect with expert denoiser"]),
        ("priors.image: {weight: 1, expert: denoiser, noise_level: 3}", ["must lie in 0.01..0.3"]),
        ("priors.image: {weight: 1, expert: denoiser, noise_schedule: [[0, 3]]}", ["must lie in 0.01..0.3"]),
        ("priors.image: {weight: 1, expert: denoiser, noise_schedule: [[5, 0.1]]}", ["must start at iteration 0"]),
        ("priors.image: {weight: 1, prior: nope}", ["unknown prior 'nope'"]),
        ("priors.image: {weight: 1, prior: student_t-8x8-512, expert: logistic}", ["no effect beside priors.image.pr"]),
        ("priors.conv1/relu: {weight: 1, prior: student_t-8x8-512}", ["learned from pictures; valid: priors.image"]),
        ("priors.image: {weight: 1, schedule: [[0, 0]]}", ["is 0 throughout"]),
        ("priors.image: {weight: 1, schedule: [[0, -1]]}", ["factors >= 0"]),
        ("priors.image: {weight: 1, schedule: {values: [1, 2]}}", ["cannot be searched"]),
        ("priors.image: {weight: 1, schedule: [[0.5, 1]]}", ["whole iterations"]),
        ("priors.conv1/relu: {weight: 1, dims: {distribution: int_uniform, min: 1, max: 500}}", ["500 different"]),
        ("optimizer: lbfgs", ["lbfgs is for single problems", "valid: adam, adagrad, momentum"]),
        ("optimizer: adm", ["did you mean 'adam'"]),
        ("jitter_canvas: big", ["valid: window, canvas, zero_padded"]),
    ],
)
def test_each_fault_is_one_line_at_its_place(line: str, parts: list[str]) -> None:
    found = faults(f"learning_rate: 0.1\n{line}")
    assert len(found) == 1, found
    assert found[0].startswith("s.yaml:6: ")
    assert [part for part in parts if part not in found[0]] == []


def test_two_names_of_one_layer_are_one_prior() -> None:
    (found,) = faults("priors.relu1.weight: 1\npriors.conv1/relu.weight: 1")
    assert "priors.conv1/relu and priors.relu1 are one prior; valid: one of them, or @label" in found


@pytest.mark.parametrize(
    ("parameters", "baselines", "line", "part"),
    [
        ("total_variation: {weight: 1, beta: {distribution: uniform, min: 1, max: 3}}", "[]", 7, "finitely many"),
        (
            "priors.image: {weight: 1, expert: denoiser, noise_level: {distribution: uniform, min: 0.02, max: 0.1}}",
            "[]",
            7,
            "finitely many values of priors.image.noise_level",
        ),
        (
            "total_variation.weight: 1",
            "[{name: own, parameters: {range.alpha: 4}}]",
            5,
            "needs isotropic_range.weight beside",
        ),
    ],
)
def test_what_has_no_calibrated_unit_is_refused(parameters: str, baselines: str, line: int, part: str) -> None:
    (found,) = faults(parameters, HEAD + f"units: calibrated\nbaselines: {baselines}\n")
    assert found.startswith(f"s.yaml:{line}: ")
    assert part in found
