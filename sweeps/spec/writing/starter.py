"""A commented spec to begin with: valid as it is written."""

from __future__ import annotations

import json
import re

from restoration_core.errors import InputError
from sweeps.spec.flatten_groups import Fault
from sweeps.spec.models import BUNDLED_NETWORK, NetworkSpec

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*\Z")

_TEXT = """# A sweep: which weights of which priors give pictures back best from the features of one layer?
# `restoration sweep validate FILE` checks this file, `plan` says what it costs, `run` runs it.
name: {name}
network: {network}{network_remark}

# Pictures to search on: paths, globs such as photos/**/*.jpg, or samples that ship with the package.
images: [sample:chelsea, sample:coffee]
image_size: {size}                      # side of the square pictures in pixels
# Never searched on: the winner is judged on these.
validate_on: [sample:astronaut, sample:china, sample:flower, sample:rocket]

# `restoration networks {network_name}` lists the layers.
match: {{layer: {layer}}}
# Two or three metrics in a list search their Pareto front.
metric: {{name: image_mse, goal: minimize}}
method: {{sampler: tpe, trials: 40, seed: 0}}
budget: {{iterations: 100}}            # of each trial; `hours: 8` ends the search in time
save: {{images: best}}                 # or all, or none; `steps: [10, 50]` keeps more pictures
baselines: [none, mv2016]            # run first: no prior at all, and Mahendran & Vedaldi's

# A parameter is a number, {{values: [...]}} or a distribution: uniform, log_uniform, q_uniform
# (with a step), int_uniform, int_log_uniform. `restoration sweep keys` tells of every one.
parameters:
  total_variation.weight: {{distribution: log_uniform, min: 0.01, max: 3}}
  priors.image:                      # a trained prior; priors.<layer> is one on a feature map
    optional: true                   # searched with it and without it
    expert: {{values: [student_t, logistic]}}
    patch_size: 8
    patch_stride: 4                  # one patch in sixteen in each step
    weight: {{distribution: log_uniform, min: 1e-5, max: 1e-3}}
  # The optimiser, for baselines too. A short memory (beta2) serves short runs; 0.999 wants more iterations.
  learning_rate: 0.08
  learning_rate_end: 0.045
  beta2: 0.9
  jitter: 1                          # 2 and more shift the picture at random in each step
  bound: 232.8                       # longest colour, from the mean one: all of RGB lies within
"""


def starter(name: str, network: str = BUNDLED_NETWORK, layer: str | None = None) -> str:
    """Return a commented spec.

    Args:
        name: of the sweep.
        network: a name of the catalogue, or ``package.module:factory``.
        layer: to match; one in the middle of the network when None.

    Raises:
        InputError: no such network or layer.
    """
    size = 64
    if network != BUNDLED_NETWORK:
        size, layer = _fitting(network, layer)
    own = ":" in network
    written = f"{{module: {_quoted(network)}}}" if own else f"{{name: {_quoted(network)}}}"
    remark = "" if network != BUNDLED_NETWORK else "      # ships with the package; or vgg16, resnet50 ..."
    return _TEXT.format(
        name=name,
        network=written,
        network_remark=remark,
        network_name=network,
        size=size,
        layer=_quoted(layer or "conv3/relu"),
    )


def _fitting(network: str, layer: str | None) -> tuple[int, str]:
    """Return the size of the network's pictures, and a layer with a map."""
    from sweeps.spec.resolve import open_outline

    faults: list[Fault] = []
    classifier = open_outline(NetworkSpec.model_validate({"name": network}), faults)
    if classifier is None or faults:
        raise InputError(faults[0][1])
    size = classifier.native_size
    if layer is not None:
        return size, layer
    maps = [name for name in classifier.layers if len(classifier.shape(name, size)) == 3]
    return size, maps[len(maps) // 2]


def _quoted(text: str) -> str:
    return text if _PLAIN.match(text) else json.dumps(text)
