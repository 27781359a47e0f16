"""Every error of ours crosses a process, as it does between a driver and its workers."""

from __future__ import annotations

import importlib
import inspect
import pickle
import pkgutil
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import cloudpickle
import pytest

import dashboard
import restoration_core
import sweeps
from restoration_core.errors import Failure, InputError, InputErrors, unknown
from sweeps.store.leases import LeaseHeld, StaleLease

# Modules that do something when they are imported: start a program, or draw a page.
SCRIPTS = {"sweeps.tracking.__main__", "dashboard.app", "sweeps.store.migrations.env"}
FILLED = {"str": "some 'text'", "int": 7, "float": 0.5, "datetime": datetime(2026, 1, 2), "Sequence[str]": ["a", "b"]}


def exception_classes() -> Iterator[type[BaseException]]:
    for package in (restoration_core, sweeps, dashboard):
        for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if found.name in SCRIPTS or ".views" in found.name:
                continue
            module = importlib.import_module(found.name)
            for value in vars(module).values():
                if inspect.isclass(value) and issubclass(value, BaseException) and value.__module__ == found.name:
                    yield value


def an_instance(kind: type[BaseException]) -> BaseException:
    """Return an error made as its own `__init__` asks for, or with a message where it has none."""
    if not inspect.isfunction(kind.__init__):
        return kind("what, where, what would be valid")
    parameters = list(inspect.signature(kind).parameters.values())
    return kind(*(FILLED[str(item.annotation).removesuffix(" | None")] for item in parameters))


ALL = sorted(set(exception_classes()), key=lambda kind: (kind.__module__, kind.__name__))


def test_the_errors_that_are_known_to_cross_are_among_those_found() -> None:
    assert {InputError, InputErrors, Failure, LeaseHeld, StaleLease} <= set(ALL)


@pytest.mark.parametrize("pickler", [pickle, cloudpickle], ids=["pickle", "cloudpickle"])
@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_an_error_arrives_as_it_was(kind: type[BaseException], pickler: Any) -> None:
    sent = an_instance(kind)
    sent.add_note("said on the way")
    arrived = pickle.loads(pickler.dumps(sent))
    assert type(arrived) is type(sent)
    assert str(arrived) == str(sent)
    assert arrived.args == sent.args
    assert vars(arrived) == vars(sent)


def test_an_error_that_is_defined_tomorrow_with_arguments_of_its_own_crosses_as_well() -> None:
    class Tomorrow(InputError):
        def __init__(self, first: str, *, second: int) -> None:
            self.second = second
            super().__init__(f"{first}: {second}")

    arrived = pickle.loads(cloudpickle.dumps(Tomorrow("a", second=2)))
    assert (str(arrived), arrived.second) == ("a: 2", 2)


def test_a_name_in_other_letters_is_the_first_that_is_meant() -> None:
    assert "did you mean 'vgg16'?" in unknown("network", "VGG16", ["alexnet", "vgg16", "vgg16_bn"])
