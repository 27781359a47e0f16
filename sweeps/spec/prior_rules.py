"""Rules of a spec on the groups of trained priors: which of their parameters go together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sweeps.priors.parameters import MOST_PRIORS, count_of, trained_groups
from sweeps.spec.parameter import Parameter
from sweeps.spec.parameter_names import (
    EXPERTS,
    NOISE_EXPERTS,
    NOISE_SCHEDULE,
    OF_MAPS,
    OF_NOISE_EXPERTS,
    OF_PATCH_EXPERTS,
    PATCH_EXPERTS,
    layer_of,
)

Message = tuple[str, str]


def prior_rules(parameters: Mapping[str, Parameter], given: frozenset[str]) -> Iterator[Message]:
    """Yield (flat name, what is wrong) for parameters that do not go together.

    Args:
        parameters: flat.
        given: flat names of all that are written down, sound or not.
    """
    for group in trained_groups(parameters):
        yield from _named_rules(group, given, parameters)
        yield from _expert_rules(group, given, parameters)
        if (count := count_of(parameters, group)) > MOST_PRIORS:
            yield (
                next(name for name in parameters if name.startswith(f"{group}.")),
                f"{group} may ask for {count} different trained priors; valid: at most {MOST_PRIORS}, by fewer values",
            )


def _named_rules(group: str, given: frozenset[str], parameters: Mapping[str, Parameter]) -> Iterator[Message]:
    named = f"{group}.prior"
    if named not in given:
        return
    for child in ("expert", *OF_PATCH_EXPERTS):
        if child != "patch_stride" and (name := f"{group}.{child}") in parameters:
            yield name, f"{name} has no effect beside {named}, which says all of it; valid: one or the other"


def _expert_rules(group: str, given: frozenset[str], parameters: Mapping[str, Parameter]) -> Iterator[Message]:
    chosen = _experts(parameters.get(f"{group}.expert"))
    anything = f"{group}.prior" in given or not chosen <= set(EXPERTS)
    on_map = layer_of(group) is not None
    for child in (*OF_PATCH_EXPERTS, *OF_NOISE_EXPERTS):
        name = f"{group}.{child}"
        if name not in parameters:
            continue
        valid = NOISE_EXPERTS if child in OF_NOISE_EXPERTS else PATCH_EXPERTS
        if child in OF_MAPS and not on_map:
            yield name, f"{name} is for priors on maps; valid: priors.<layer>.{child}"
        elif not anything and not chosen & set(valid):
            yield name, f"{name} has no effect with expert {_listed(chosen)}; valid: expert {' or '.join(valid)}"
        elif child == NOISE_SCHEDULE and f"{group}.noise_level" in given:
            yield name, f"{name} has no effect beside {group}.noise_level; valid: one or the other"


def _experts(parameter: Parameter | None) -> set[str]:
    if parameter is None:
        return {"student_t"}
    return {str(value) for value in parameter.extremes()}


def _listed(experts: set[str]) -> str:
    return ", ".join(sorted(experts))
