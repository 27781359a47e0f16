"""A spec is read whole, or refused with every fault at its line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from restoration_core.errors import InputError, InputErrors
from sweeps.spec.load import load_spec, parse_spec
from sweeps.spec.models import SweepSpec

SPEC = """\
name: small
images: [sample:coffee, sample:astronaut]
image_size: 64
validate_on: [sample:rocket]
match: {layer: conv3/relu}
metric: {name: image_mse, goal: minimize}
method: {sampler: tpe, trials: 8, seed: 0}
budget: {iterations: 100}
save: {steps: [50], images: best}
baselines: [none, mv2016]
parameters:
  total_variation.weight: {distribution: log_uniform, min: 1e-3, max: 1e2}
  learning_rate: 0.05
"""


def changed(old: str, new: str) -> str:
    assert old in SPEC
    return SPEC.replace(old, new)


def faults(text: str) -> list[str]:
    with pytest.raises(InputErrors) as caught:
        parse_spec(text, "s.yaml")
    assert all("\n" not in line for line in caught.value.lines)
    return list(caught.value.lines)


def test_a_good_spec_is_typed_and_survives_json() -> None:
    spec = parse_spec(SPEC, "s.yaml")
    assert spec.match.layers == {"conv3/relu": 1.0}
    assert spec.network.weights == "bundled"
    assert spec.parameters["learning_rate"].value == 0.05
    assert spec.parameters["total_variation.weight"].min == 0.001
    again = SweepSpec.model_validate(json.loads(json.dumps(spec.model_dump())))
    assert again == spec.model_copy(update={"yaml_text": ""})
    assert spec.yaml_text == SPEC


def test_the_file_names_a_sweep_that_has_no_name(tmp_path: Path) -> None:
    (tmp_path / "conv3-tv.yaml").write_text(SPEC.replace("name: small\n", ""))
    assert load_spec(tmp_path / "conv3-tv.yaml").name == "conv3-tv"


@pytest.mark.parametrize(
    ("old", "new", "line", "parts"),
    [
        ("name: small", "nam: small", 1, ["unknown key 'nam'", "did you mean 'name'", "valid: name, network"]),
        ("name: small", "name: a b", 1, ["name must be", "'a b'"]),
        ("conv3/relu", "conv3/rleu", 5, ["'conv3/rleu'", "did you mean 'conv3/relu'", "valid: conv1/lin"]),
        ("conv3/relu", "fc6/lin", 5, ["fc6/lin", "32"]),
        ("sampler: tpe", "sampler: tep", 7, ["unknown sampler 'tep'", "did you mean 'tpe'", "valid: tpe, random"]),
        ("image_mse", "image_mes", 6, ["unknown metric 'image_mes'", "did you mean 'image_mse'"]),
        ("minimize", "maximize", 6, ["better when lower", "valid: minimize"]),
        ("goal:", "gaol:", 6, ["unknown key 'gaol'", "did you mean 'goal'"]),
        ("min: 1e-3", "min: 1e3", 12, ["total_variation.weight", "min <= max", "min 1000 and max 100"]),
        ("min: 1e-3", "min: 0", 12, ["log_uniform needs min > 0", "got 0"]),
        ("min: 1e-3", "min: -1", 12, ["log_uniform needs min > 0", "got -1"]),
        ("max: 1e2", "max: 1e2, step: 0.1", 12, ["step goes with q_uniform and int_uniform, not with log_uniform"]),
        ("log_uniform", "log_unifrm", 12, ["unknown distribution 'log_unifrm'", "did you mean 'log_uniform'"]),
        ("total_variation.weight", "total_variation.wieght", 12, ["did you mean 'total_variation.weight'"]),
        ("total_variation.weight", "priors.conv2/relu", 12, ["priors.conv2/relu must be a group"]),
        ("learning_rate: 0.05", "learning_rate: -1", 13, ["learning_rate must be > 0", "-1"]),
        ("learning_rate: 0.05", "learning_rate: {values: [[1]]}", 13, ["must be a valid boolean or a valid integer"]),
        ("learning_rate: 0.05", "learning_rate: fast", 13, ["learning_rate must be a number", "'fast'"]),
        ("learning_rate: 0.05", "total_variation.weight: 3", 13, ["duplicate key", "first given on line 12"]),
        ("learning_rate: 0.05", "isotropic_range.alpha: 6", 13, ["isotropic_range.alpha has no effect without"]),
        ("learning_rate: 0.05", "iterations: 500", 13, ["iterations may be 500", "budget.iterations = 100"]),
        ("learning_rate: 0.05", "jitter: {distribution: uniform, min: 1, max: 4}", 13, ["int_uniform"]),
        ("learning_rate: 0.05", "jitter: {values: [1, 1]}", 13, ["values must differ"]),
        ("learning_rate: 0.05", "jitter: {values: []}", 13, ["values must not be empty"]),
        ("learning_rate: 0.05", f"jitter: {{values: {[1] * 300}}}", 13, ["values must differ", "1, 1, ...", " 1]"]),
        ("learning_rate: 0.05", "coarse_to_fine: [[5, 2]]", 13, ["must start at iteration 0"]),
        ("steps: [50]", "steps: [150]", 9, ["save.steps must lie in 1..100", "150"]),
        ("images: best", "images: bst", 9, ["did you mean 'best'"]),
        ("trials: 8", "trials: 0", 7, ["method.trials", "got 0"]),
        ("seed: 0", "pruner: {name: successive_halving}", 7, ["successive halving", "later version"]),
        ("sampler: tpe", "sampler: grid", 12, ["grid sampler cannot walk log_uniform", "grid: n points"]),
        ("[none, mv2016]", "[none, mv2061]", 10, ["did you mean 'mv2016'"]),
        ("image_size: 64", "image_size: 8", 3, ["image_size", "8"]),
        ("image_size: 64", "units: calibrted", 3, ["unknown", "did you mean 'calibrated'"]),
        ("image_size: 64", "network: {name: alexnt}", 3, ["unknown network 'alexnt'", "did you mean 'alexnet'"]),
        ("image_size: 64", "network: {weights: nowhere.pt}", 3, ["nowhere.pt", "no such weights file"]),
        ("sample:coffee", "sample:cofee", 2, ["did you mean 'coffee'"]),
        ("sample:coffee", "no/such.jpg", 2, ["no/such.jpg", "matches no picture"]),
        ("[sample:rocket]", "[sample:coffee]", 4, ["sample:coffee is also in images"]),
        ("budget: {iterations: 100}", "budget: {iterations: 100, hours: .nan}", 8, ["budget.hours", "finite"]),
    ],
)
def test_each_bad_input_is_one_line_at_its_place(old: str, new: str, line: int, parts: list[str]) -> None:
    found = faults(changed(old, new))
    assert len(found) == 1
    assert found[0].startswith(f"s.yaml:{line}: ")
    assert [part for part in parts if part not in found[0]] == []


def test_all_faults_are_told_at_once_in_the_order_of_the_file() -> None:
    text = SPEC.replace("conv3/relu", "conv3/rleu").replace("tpe", "tep").replace("min: 1e-3", "min: 1e3")
    found = faults(text + "learning_rte: 3\n")
    assert [line.split(":")[1] for line in found] == ["5", "7", "12", "14"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("torn.png", "torn", "damaged picture"),
        ("text.jpg", "text", "not a picture"),
        ("huge.png", "huge", "too large"),
    ],
)
def test_a_picture_that_cannot_be_used_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: str, message: str
) -> None:
    path = tmp_path / name
    if content == "torn":
        noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(noise).save(path)
        path.write_bytes(path.read_bytes()[:4000])
    elif content == "text":
        path.write_text("no picture")
    else:
        Image.new("1", (9000, 9000)).save(path)
    monkeypatch.chdir(tmp_path)
    (found,) = faults(changed("sample:coffee", name))
    assert found.startswith("s.yaml:2: ")
    assert message in found


def test_a_copy_of_a_searched_picture_is_no_validation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    for name in ("a.png", "b.png"):
        Image.fromarray(noise).save(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    (found,) = faults(SPEC.replace("sample:coffee", "a.png").replace("sample:rocket", "b.png"))
    assert found.startswith("s.yaml:4: b.png is the same picture as a.png")


def test_globs_become_pictures_and_module_paths_become_layer_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (2, 1):
        noise = np.random.default_rng(number).integers(0, 255, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{number}.png")
    monkeypatch.chdir(tmp_path)
    text = SPEC.replace("sample:coffee", "'*.png'").replace("conv3/relu", "relu3")
    spec = parse_spec(text.replace("{name: image_mse, goal: minimize}", "[ssim, feature_error@relu4]"))
    assert spec.images == ["1.png", "2.png", "sample:astronaut"]
    assert spec.layers == ("conv3/relu",)
    assert spec.metric_names == ["ssim", "feature_error@conv4/relu"]
    assert spec.metric_goals == ["maximize", "minimize"]


def test_nested_groups_and_flat_names_are_the_same_parameters() -> None:
    nested = changed(
        "total_variation.weight: {distribution: log_uniform, min: 1e-3, max: 1e2}",
        "priors.image: {optional: true, patch_size: {values: [5, 8]}, weight: 0.1}",
    )
    flat = changed(
        "total_variation.weight: {distribution: log_uniform, min: 1e-3, max: 1e2}",
        "priors.image.enabled: {values: [false, true]}\n  priors.image.patch_size: {values: [5, 8]}\n"
        "  priors.image.weight: {value: 0.1}",
    )
    assert parse_spec(nested).parameters == parse_spec(flat).parameters


@pytest.mark.parametrize("text", ["", "- 1\n", "just text\n"])
def test_what_is_no_mapping_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"a spec is a mapping with the keys name, network.*`restoration sweep init`"):
        parse_spec(text)


def test_the_demo_is_valid_and_reading_it_imports_neither_ray_nor_optuna() -> None:
    demo = Path(__file__).parents[3] / "sweeps" / "specs" / "demo.yaml"
    code = (
        "import sys; from sweeps.spec.load import load_spec; load_spec(sys.argv[1]); "
        "heavy = {'ray', 'optuna', 'mlflow', 'pandas', 'torchvision', 'torch._dynamo'}; "
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(demo)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
