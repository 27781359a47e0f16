"""Ray that cannot be reached, or dies: one line, a status, no process left, and nothing that is stored is lost."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from restoration_core.errors import Failure, InputError
from sweeps.execution.runners import ray_session
from sweeps.execution.runners.processes import end_session, in_session
from sweeps.lifecycle.launch import start
from sweeps.lifecycle.resume import resume
from sweeps.store.reader import open_reader
from tests.sweeps.processes import descendants
from tests.sweeps.sweeps_in_store import make_spec, store

LONG = {
    "budget": {"iterations": 250},
    "method": {"sampler": "random", "trials": 12},
    "resources": {"actors": 1, "pack": 2},
}


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of something that listens and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def run(url: str, progress: Any = lambda state: None) -> Any:
    return start(make_spec(**LONG), runner="ray", store_url=url, mlflow_uri=None, verdict=False, progress=progress)


def sweeps_in(url: str) -> list[str]:
    reader = open_reader(url)
    try:
        return list(reader.sweeps()["name"])
    finally:
        reader.close()


@pytest.mark.parametrize(
    "address", ["127.0.0.1:9", "ray://127.0.0.1:9", "[::1]:9", "no.such.host.invalid:6379", "a:99999"]
)
def test_a_cluster_that_nobody_answers_for_is_refused_at_once_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(InputError, match=r"no Ray cluster can be reached at .*; valid: a running one, or unset"):
        run(store(tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_what_answers_otherwise_than_a_cluster_is_given_up_and_the_name_stays_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, silent: str
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", silent)
    monkeypatch.setattr(ray_session, "CONNECT_LIMIT_S", 2.0)
    before = descendants(os.getpid())  # a helper of an earlier test's may still be there
    with pytest.raises(InputError, match=r"cannot be used: it does not answer as a Ray cluster does within 2 s"):
        run(store(tmp_path))
    assert sweeps_in(store(tmp_path)) == []
    assert descendants(os.getpid()).keys() <= before.keys()


@pytest.mark.slow
def test_a_run_that_is_killed_leaves_neither_process_nor_file(tmp_path: Path, silent: str) -> None:
    code = (
        "import time; from sweeps.execution.runners.ray_session import open_session\n"
        "from tests.sweeps.sweeps_in_store import make_spec\n"
        "with open_session(make_spec()): print('open', flush=True); time.sleep(600)\n"
    )
    environment = os.environ | {"TMPDIR": str(tmp_path), "RAY_ADDRESS": silent}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        (child,) = descendants(process.pid)
        assert [path.name for path in tmp_path.glob("*/*")] == ["log"]
        process.kill()
    deadline = time.monotonic() + 120.0  # Ray's libraries are loading, after which the child notices
    while in_session(child):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["raylet", "gcs_server"])
def test_a_part_of_ray_that_dies_ends_the_run_in_one_line_and_resume_goes_on(tmp_path: Path, victim: str) -> None:
    url = store(tmp_path)
    sessions: list[int] = []

    def kill(state: Any) -> None:
        if state["complete"] >= 2 and not sessions:
            (pid,) = (pid for pid, name in descendants(os.getpid()).items() if name == victim)
            sessions.append(os.getsid(pid))
            os.kill(pid, signal.SIGKILL)

    with pytest.raises(Failure, match=f"Ray's process {victim} was killed or crashed") as caught:
        run(url, kill)
    assert "\n" not in str(caught.value)
    assert in_session(sessions[0]) == {}
    reader = open_reader(url)
    view, done = reader.sweep("test"), [row["number"] for row in reader.trial_rows("test", ["complete"])]
    reader.close()
    assert (view.status, view.lease_holder) == ("interrupted", None)
    assert len(done) >= 2
    assert resume(url, "test", runner="inprocess", mlflow_uri=None, verdict=False).status == "complete"
    reader = open_reader(url)
    rows = reader.trial_rows("test")
    reader.close()
    assert [row["number"] for row in rows] == list(range(13))
    assert {row["attempt"] for row in rows if row["number"] in done} == {1}


def test_a_session_is_all_that_descends_from_its_leader_whoever_its_parents_are() -> None:
    code = "import subprocess, sys; subprocess.Popen(['sleep', '60']); print('here', flush=True)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True) as leader:
        assert leader.stdout is not None
        assert leader.stdout.readline() == b"here\n"
        leader.wait()
        assert list(in_session(leader.pid).values()) == ["sleep"]  # its parent is gone
        end_session(leader.pid)
        assert in_session(leader.pid) == {}
    assert os.getpid() in in_session(os.getsid(0))
