"""Checks of a spec against what is there: pictures on disk, the network's layers, metrics by name.

No weights are opened or downloaded: layers and their shapes come from a network with random weights, a large one
without memory for them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from restoration_core.errors import InputError, InputErrors, unknown
from restoration_core.networks import Classifier
from restoration_core.paths import shown, user_path
from sweeps.spec.flatten_groups import Fault
from sweeps.spec.models import BUNDLED_NETWORK, MatchSpec, MetricSpec, NetworkSpec, SaveSpec
from sweeps.spec.resolve_priors import place_in_baselines, place_priors
from sweeps.spec.yaml_loader import YamlPath

_LONGEST_REFERENCE = 500


def resolve(sections: Mapping[str, Any]) -> tuple[dict[str, Any], list[Fault]]:
    """Check the valid sections against what is there, and complete them with it.

    Returns:
        The sections with globs expanded to pictures, layers under the network's own names, goals filled in; and the
        faults with their paths.
    """
    known = dict(sections)
    faults: list[Fault] = []
    _pictures(known, faults)
    classifier = open_outline(known["network"], faults) if "network" in known else None
    if "match" in known and classifier is not None:
        known["match"] = _match(known["match"], classifier, known.get("image_size"), faults)
    if "parameters" in known and classifier is not None:
        known["parameters"] = place_priors(known, classifier, faults)
    if "baselines" in known and classifier is not None:
        known["baselines"] = place_in_baselines(known, classifier, faults)
    if "metric" in known:
        known["metric"] = [
            _metric(index, metric, classifier, known.get("image_size"), faults)
            for index, metric in enumerate(known["metric"])
        ]
    if "save" in known:
        known["save"] = _saved_metrics(known["save"], classifier, known.get("image_size"), faults)
    return known, faults


def _pictures(known: dict[str, Any], faults: list[Fault]) -> None:
    from restoration_core.images import expand_images

    found: dict[str, dict[str, YamlPath]] = {"images": {}, "validate_on": {}}
    for section, references in found.items():
        for index, pattern in enumerate(known.get(section, [])):
            try:
                expanded = expand_images([pattern])
            except InputErrors as error:
                faults.extend(((section, index), line) for line in error.lines)
                continue
            for reference in expanded:
                references.setdefault(reference, (section, index))
        if references:
            known[section] = list(references)
    by_content: dict[str, tuple[str, str]] = {}
    for section, references in found.items():
        for reference, place in references.items():
            try:
                content = _content(reference, int(known.get("image_size", 64)))
            except InputError as error:
                faults.append((place, str(error)))
                continue
            first_section, first = by_content.setdefault(content, (section, reference))
            if first_section != section:
                same = "is" if first == reference else f"is the same picture as {first},"
                message = f"{reference} {same} also in images; valid: pictures that are not searched on"
                faults.append((place, message))


def _content(reference: str, size: int) -> str:
    from restoration_core.images import load_image

    if len(reference) > _LONGEST_REFERENCE:
        raise InputError(f"{shown(reference)}: {len(reference)} characters; valid: at most {_LONGEST_REFERENCE}")
    return hashlib.sha256(load_image(reference, size).tobytes()).hexdigest()


def open_outline(network: NetworkSpec, faults: list[Fault]) -> Classifier | None:
    """Return the network with layers and shapes but without the sweep's weights; None, and why, where it has none."""
    import torch

    from restoration_core.networks import (
        check_weights_file,
        is_path,
        network_entries,
        network_names,
        open_network,
        outline_network,
    )

    if network.is_own_module:
        try:
            if network.weights != "factory":
                return open_network(network.name, network.weights, network.seed, **network.options)
            return outline_network(network.name, **network.options)
        except InputError as error:
            faults.append((("network",), str(error)))
            return None
    bundled = network.name == BUNDLED_NETWORK
    if not bundled and network.name not in network_names():
        faults.append((("network", "name"), unknown("network", network.name, network_names(), "restoration networks")))
        return None
    if is_path(network.weights):
        try:
            check_weights_file(user_path(network.weights))
        except InputError as error:
            faults.append((("network", "weights"), str(error)))
    elif not bundled or network.weights not in ("bundled", "random"):
        entry = next(entry for entry in network_entries() if entry.name == network.name)
        if network.weights not in entry.weights:
            message = unknown(f"weights for {network.name}", network.weights, entry.weights)
            faults.append((("network", "weights"), f"{message}, or a path to a file of weights"))
    # Torch loads hundreds of modules for its first work on the meta device: not worth it for the small network.
    with torch.device("cpu" if bundled else "meta"):
        return open_network(network.name, "random")


def _match(match: MatchSpec, classifier: Classifier, size: int | None, faults: list[Fault]) -> MatchSpec:
    layers: dict[str, float] = {}
    for layer, weight in match.layers.items():
        try:
            name = classifier.resolve(layer)
            if size is not None:
                classifier.shape(name, size)
        except InputError as error:
            faults.append((("match", "layers", layer), str(error)))
            continue
        if name in layers:
            faults.append((("match", "layers", layer), f"layer {name!r} is matched twice; valid: one match a layer"))
        layers[name] = weight
    return MatchSpec(layers=layers) if layers else match


def _saved_metrics(save: SaveSpec, classifier: Classifier | None, size: int | None, faults: list[Fault]) -> SaveSpec:
    names: dict[str, None] = {}
    for index, name in enumerate(save.metrics):
        try:
            names[_measure_name(name, classifier, size)] = None
        except InputError as error:
            faults.append((("save", "metrics", index), str(error)))
    return save.model_copy(update={"metrics": list(names)})


def _measure_name(name: str, classifier: Classifier | None, size: int | None) -> str:
    """Return a metric's name with its layers under the network's own names.

    Raises:
        InputError: unknown metric or layer, or no layer at this size.
    """
    from restoration_core.metrics import metric_layers, parse_metric

    measure, named = parse_metric(name)
    if classifier is None or measure.needs == "images":
        return name
    if named:
        resolved = [classifier.resolve(layer) for layer in named]
        for layer in resolved if size is not None else ():
            classifier.shape(layer, size or 0)
        return f"{measure.name}@{'+'.join(resolved)}"
    if measure.layers == "spread" and size is not None and not metric_layers(name, classifier, (), size):
        raise InputError(f"{classifier.name} has no map of several positions for {name} at {size} px; valid: more px")
    return name


def _metric(
    index: int, metric: MetricSpec, classifier: Classifier | None, size: int | None, faults: list[Fault]
) -> MetricSpec:
    from restoration_core.metrics import parse_metric

    where = ("metric", index)
    try:
        measure, _ = parse_metric(metric.name)
        name = _measure_name(metric.name, classifier, size)
    except InputError as error:
        faults.append((where, str(error)))
        return metric
    if metric.goal is not None and metric.goal != measure.goal:
        better = "lower" if measure.goal == "minimize" else "higher"
        message = f"{name} is better when {better}, but goal is {metric.goal}; valid: {measure.goal}"
        faults.append(((*where, "goal"), message))
    return MetricSpec(name=name, goal=measure.goal)
