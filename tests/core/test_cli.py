"""The command `restoration`: help that a person can read, at 80 columns."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click
import pytest

from restoration_core.cli import main, restoration


def commands(
    group: click.Group = restoration, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


COMMANDS = dict(commands())
GROUPS = [(), *(path for path, command in COMMANDS.items() if isinstance(command, click.Group))]


@pytest.mark.parametrize("path", GROUPS, ids=" ".join)
def test_a_group_alone_prints_its_help_as_it_is(path: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(list(path))
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert said.startswith(" ".join(["Usage: restoration", *path]))
    assert "\n\nCommands:\n" in said
    assert "error:" not in said


@pytest.mark.parametrize("path", GROUPS, ids=" ".join)
def test_every_command_is_described_whole_in_a_line_of_its_group(
    path: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as ended:
        main([*path, "--help"])
    listed = capsys.readouterr().out.partition("Commands:\n")[2].splitlines()
    assert not ended.value.code
    assert len(listed) == sum(len(each) == len(path) + 1 and each[: len(path)] == path for each in COMMANDS)
    assert all(re.fullmatch(r"  [a-z]+ +\S.*[.?]", line) and not line.endswith("...") for line in listed), listed


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_fits_80_columns(
    path: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main([*path, "--help"])
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


def test_a_mistyped_option_is_still_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["networks", "--jsn"])
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("error: No such option")


def test_a_shell_that_completes_a_command_line_is_answered(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {
        "_RESTORATION_COMPLETE": "bash_complete",
        "COMP_WORDS": "restoration sw",
        "COMP_CWORD": "1",
    }.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        main([])
    assert not ended.value.code
    assert capsys.readouterr() == ("plain,sweep\n", "")


def test_code_that_ends_the_program_is_a_failure_with_a_word(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a network of the user's may, in the middle of a run: exit 0 would look like success."""

    def ends(*_: object, **__: object) -> None:
        raise SystemExit(0)

    monkeypatch.setattr(click.Group, "invoke", ends)
    with pytest.raises(SystemExit) as ended:
        main(["networks"])
    assert ended.value.code == 1
    assert capsys.readouterr().err == "error: the code that was called ended the program by sys.exit(0)\n"
