"""Rules of a spec that reach over several of its sections."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from restoration_core.errors import unknown
from sweeps.priors.units import unit_rules
from sweeps.spec.flatten_groups import Fault
from sweeps.spec.models import BASELINES, CALIBRATED, BudgetSpec, MetricSpec, SaveSpec
from sweeps.spec.parameter import Parameter, parameter_faults
from sweeps.spec.parameter_names import group_of, known_parameter, unknown_parameter
from sweeps.spec.prior_rules import prior_rules

Sections = Mapping[str, Any]


def rules(sections: Sections, given: frozenset[str]) -> Iterator[Fault]:
    """Yield the faults between sections that the text alone shows; sections that are invalid themselves are left out.

    Args:
        sections: validated sections by key; ``parameters`` flat.
        given: flat names of all parameters that are written down, whether they validated or not.
    """
    yield from _metric_rules(sections.get("metric", []))
    calibrated = sections.get("units") == CALIBRATED
    yield from _parameter_rules(sections.get("parameters", {}), given, calibrated)
    yield from _budget_rules(sections)
    yield from _baseline_rules(sections)
    yield from _grid_rules(sections)
    yield from _size_rules(sections)


def _metric_rules(metrics: list[MetricSpec]) -> Iterator[Fault]:
    names = [metric.name for metric in metrics]
    for index, name in enumerate(names):
        if name in names[:index]:
            yield ("metric", index), f"metric {name!r} is given twice"


def _parameter_rules(parameters: Mapping[str, Parameter], given: frozenset[str], calibrated: bool) -> Iterator[Fault]:
    faulty = set()
    for name, parameter in parameters.items():
        for message in parameter_faults(name, parameter):
            faulty.add(name)
            yield ("parameters", name), message
        group = group_of(name)
        if group is not None and f"{group}.weight" not in given:
            yield ("parameters", name), f"{name} has no effect without {group}.weight; valid: give {group}.weight too"
    sound = {name: parameter for name, parameter in parameters.items() if name not in faulty}
    for name, message in prior_rules(sound, given):
        yield ("parameters", name), message
    for name, message in unit_rules(sound) if calibrated else ():
        yield ("parameters", name), message


def _budget_rules(sections: Sections) -> Iterator[Fault]:
    budget: BudgetSpec | None = sections.get("budget")
    if budget is None:
        return
    iterations: Parameter | None = sections.get("parameters", {}).get("iterations")
    if iterations is not None:
        most = max((value for value in iterations.extremes() if isinstance(value, int)), default=0)
        if most > budget.iterations:
            yield (
                ("parameters", "iterations"),
                (f"iterations may be {most}, above budget.iterations = {budget.iterations}; valid: raise the budget"),
            )
    save: SaveSpec | None = sections.get("save")
    for index, step in enumerate(save.steps if save is not None else []):
        if not 1 <= step <= budget.iterations:
            yield (
                ("save", "steps", index),
                (f"save.steps must lie in 1..{budget.iterations} (budget.iterations), but got {step}"),
            )


def _baseline_rules(sections: Sections) -> Iterator[Fault]:
    seen: set[str] = set()
    for index, baseline in enumerate(sections.get("baselines", [])):
        where = ("baselines", index)
        if baseline.name in seen:
            yield where, f"baseline {baseline.name!r} is given twice"
        seen.add(baseline.name)
        if baseline.parameters is None and baseline.name not in BASELINES:
            yield where, f"{unknown('baseline', baseline.name, BASELINES)}, or {{name: ..., parameters: {{...}}}}"
        if baseline.parameters is not None and baseline.name in BASELINES:
            yield where, f"baseline {baseline.name!r} has its own parameters; valid: another name for yours"
        given = baseline.parameters or {}
        for name, value in given.items():
            inside = (*where, "parameters", name)
            if known_parameter(name) is None:
                yield inside, unknown_parameter(name)
                continue
            for message in parameter_faults(name, Parameter(value=value)):
                yield inside, message
            group = group_of(name)
            if sections.get("units") == CALIBRATED and group is not None and f"{group}.weight" not in given:
                message = f"{name} needs {group}.weight beside it: a baseline's weights are raw, the spec's calibrated"
                yield inside, f"{message}; valid: give {group}.weight too"


def _grid_rules(sections: Sections) -> Iterator[Fault]:
    method = sections.get("method")
    if method is None or method.sampler != "grid":
        return
    for name, parameter in sections.get("parameters", {}).items():
        if parameter.distribution in {"uniform", "log_uniform", "int_log_uniform"} and parameter.grid is None:
            yield (
                ("parameters", name),
                (
                    f"{name}: the grid sampler cannot walk {parameter.distribution}; "
                    "valid: values: [...], a step, or grid: n points"
                ),
            )


def _size_rules(sections: Sections) -> Iterator[Fault]:
    size: int | None = sections.get("image_size")
    parameters: Mapping[str, Parameter] = sections.get("parameters", {})
    if "learning_rate_end" in parameters and "learning_rate" not in parameters:
        yield ("parameters", "learning_rate_end"), "learning_rate_end needs learning_rate; valid: give both"
    if size is None:
        return
    stages = parameters.get("coarse_to_fine")
    for stage in stages.value if stages is not None and isinstance(stages.value, list) else []:
        if len(stage) == 2 and stage[1] > size:
            yield ("parameters", "coarse_to_fine"), f"coarse_to_fine factors must be <= {size} px, but got {stage}"
