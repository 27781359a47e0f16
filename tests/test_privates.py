"""Tests use what the project offers: no test reaches for an underscore name of the project's code."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
ALLOWED = {
    "_exit": "os._exit ends a process at once, as a kill does",
    "_forward_hooks": "torch has no public way to count a module's hooks",
    "_dynamo": "torch._dynamo, named to show that it is not imported",
    "_module": "the layers of a tail",
    "_LPIPS": "torchmetrics' network without its learned weights, to compare with",
}
PRIVATE = re.compile(r"_[A-Za-z]\w*\Z")
PATCHING = {"setattr", "delattr", "getattr"}


def privates(text: str) -> list[tuple[int, str]]:
    """Return line and name of every private attribute, import or patched name in a test file."""
    found: list[tuple[int, str]] = []
    for node in ast.walk(ast.parse(text)):
        names: list[str] = []
        if isinstance(node, ast.Attribute) and not (
            isinstance(node.value, ast.Name) and node.value.id in {"self", "cls"}
        ):
            names.append(node.attr)
        elif isinstance(node, ast.ImportFrom):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in PATCHING:
            names += [
                argument.value.rpartition(".")[2]
                for argument in node.args[:2]
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
            ]
        found += [(node.lineno, name) for name in names if PRIVATE.match(name) and name not in ALLOWED]
    return sorted(found)


def test_tests_touch_no_privates() -> None:
    faults = [
        f"{path.relative_to(TESTS)}:{line}: {name}"
        for path in sorted(TESTS.rglob("*.py"))
        for line, name in privates(path.read_text(encoding="utf-8"))
    ]
    assert not faults, "make it public, give it a parameter, or test what it does:\n" + "\n".join(faults)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("coordinator._lease.release()", "_lease"),
        ("from restoration_core.networks.catalogue import _build", "_build"),
        ("monkeypatch.setattr(module, '_CHUNK', 3)", "_CHUNK"),
        ("monkeypatch.setattr('sweeps.execution.pack._CHUNK', 3)", "_CHUNK"),
        ("getattr(tail, '_layers')", "_layers"),
    ],
)
def test_each_way_of_reaching_for_a_private_is_seen(text: str, name: str) -> None:
    assert privates(text) == [(1, name)]


@pytest.mark.parametrize("text", ["self._seen = 1", "os._exit(0)", "result.__class__", "setattr(module, 'CHUNK', 3)"])
def test_what_is_public_or_the_tests_own_passes(text: str) -> None:
    assert privates(text) == []
