"""Whose lease may be taken over at once: only that of a process which is known to be gone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from sweeps.execution.holder import is_dead, new_holder


def ended_process() -> int:
    """Return the number of a process that has ended."""
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return child


def as_process(holder: str, pid: int) -> str:
    return holder.replace(f"pid {os.getpid()} ", f"pid {pid} ")


def test_a_process_that_runs_is_alive_and_one_that_is_gone_is_dead() -> None:
    mine = new_holder()
    assert not is_dead(mine)
    assert is_dead(as_process(mine, ended_process()))


def test_a_killed_holder_is_dead_though_its_number_was_given_to_another_process() -> None:
    mine = new_holder()
    assert is_dead(as_process(mine, os.getppid()))  # a process that lives, but started at another time


def test_a_killed_holder_is_dead_while_nobody_has_waited_for_it() -> None:
    code = "from sweeps.execution.holder import new_holder; print(new_holder(), flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        holder = process.stdout.readline().decode().strip()
        assert not is_dead(holder)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and stays in the list of processes
        assert is_dead(holder)


@pytest.mark.parametrize(
    "change",
    [
        lambda words: words.replace("@", "@elsewhere-"),  # another machine
        lambda words: words.rpartition(" (")[0] + " (5f0c23d1 00000000 1)",  # another container of this host name
        lambda words: words.rpartition(" (")[0] + " (5f0c23d1)",  # a system that tells no more
        lambda words: "somebody",
    ],
)
def test_in_doubt_a_holder_is_alive(change: object) -> None:
    gone = as_process(new_holder(), ended_process())
    assert is_dead(gone)
    assert not is_dead(change(gone))  # type: ignore[operator]


@pytest.mark.skipif(os.getuid() != 0 or shutil.which("unshare") is None, reason="a container needs root")
def test_a_live_holder_in_another_container_of_the_same_host_name_is_not_dead() -> None:
    """A new space of process numbers, as a container has, in which the holder is process 1 and lives."""
    code = "from sweeps.execution.holder import new_holder; print(new_holder(), flush=True); input()"
    container = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", code]
    with subprocess.Popen(container, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        holder = process.stdout.readline().strip()
        if not holder:
            pytest.skip("this machine makes no containers")
        assert not is_dead(as_process(holder, ended_process()))
        assert not is_dead(holder)
        process.communicate("\n")


def test_names_are_unique_and_fit_the_store() -> None:
    names = {new_holder() for _ in range(20)}
    assert len(names) == 20
    assert max(map(len, names)) <= 200
