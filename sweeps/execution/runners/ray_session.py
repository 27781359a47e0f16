"""Ray from the outside: a process of its own talks to Ray, and ends with all that it started, however a run ends.

When a part of Ray dies, Ray's libraries end the process they are in, with no word to Python, or print what only their
authors understand. So that process is a child; this one holds the sweep, watches, and says in one line what happened.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from multiprocessing.connection import Pipe
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cloudpickle

from restoration_core.errors import Failure, InputError
from sweeps.execution.devices import check_gpus
from sweeps.execution.lease import Token
from sweeps.execution.runners.base import Job, Progress, RunReport
from sweeps.execution.runners.processes import end_session, in_session
from sweeps.execution.runners.ray_messages import Connected, Failed, Finished, Progressed, Setup, Started
from sweeps.spec.models import SweepSpec

CONNECT_LIMIT_S = 30.0
"""For a cluster to answer, from the moment at which Ray's libraries are loaded; and for it to come back."""
START_LIMIT_S = 180.0
"""For loading Ray's libraries, and for a local Ray to start."""
_LOOK_EVERY_S = 1.0
_PARTS = ("raylet", "gcs_server")  # without which a local Ray is none; names of their processes
_UNSET = "unset RAY_ADDRESS for a Ray of its own on this machine"

# Read by Ray and Tune when they start, or inherited by the worker processes of a local Ray.
_ENVIRONMENT = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # csv, json and tensorboard files of every pack
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",  # the store is the truth, Tune's snapshots are of no use
    "TUNE_WARN_THRESHOLD_S": "60",
    "RAY_AIR_NEW_OUTPUT": "0",  # the newer output engine prints tables at any verbosity
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",  # by default workers yield to every other process, the tracker among them
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "OMP_WAIT_POLICY": "PASSIVE",  # spinning OpenMP threads slow busy cores down forty times
    "OMP_NUM_THREADS": "1",
}
# The modules are found where this process finds them, the user's own networks among them.
_CODE = "import sys; sys.path[:] = sys.argv[2:]; from sweeps.execution.runners.ray_process import main; main()"


@contextlib.contextmanager
def open_session(spec: SweepSpec) -> Iterator[RaySession]:
    """Start the process that talks to Ray; see :class:`sweeps.execution.runners.base.Session`.

    Uses the Ray that this process is connected to, else the cluster in ``RAY_ADDRESS``, else a local one that ends with
    the run.

    Raises:
        InputError: nobody listens at the cluster's address.
    """
    address = _address()
    if address is None:
        check_gpus(spec)
    elif (silence := _silence(address)) is not None:
        raise InputError(f"no Ray cluster can be reached at {address} ({silence}); valid: a running one, or {_UNSET}")
    # Here and not in the child, which is killed: what it leaves in the folder goes with the folder.
    with TemporaryDirectory(prefix="restoration-ray-", ignore_cleanup_errors=True) as folder:
        session = RaySession(spec, address, Path(folder))
        try:
            yield session
        finally:
            session.close()


class RaySession:
    """A child process that is connected to Ray and runs packs there; use :func:`open_session`."""

    def __init__(self, spec: SweepSpec, address: str | None, folder: Path) -> None:
        self._spec, self._address, self._log = spec, address, folder / "log"
        self._connection, theirs = Pipe()
        with theirs, self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _CODE, str(theirs.fileno()), *sys.path],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **_ENVIRONMENT},
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C is for this process, which then ends the child
            )
        self._looked = self._answered = time.monotonic()
        self._send(Setup(address, str(folder), spec.resources.threads, spec.resources.actors))

    def ready(self) -> None:
        """Wait until Ray is connected, for a cluster at most half a minute."""
        self._expect(Started, START_LIMIT_S, "Ray's libraries did not load")
        if self._address is None:
            self._expect(Connected, START_LIMIT_S, "Ray did not start on this machine")
            return
        try:
            connected = self._expect(Connected, CONNECT_LIMIT_S, "it does not answer as a Ray cluster does")
        except Failure as error:
            token = "InvalidAuthToken" in self._logged()
            why = (
                "it wants a token: set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN where no file has it" if token else error
            )
            raise InputError(
                f"the Ray cluster at {self._address} cannot be used: {why}; valid: a running one, or {_UNSET}"
            ) from error
        check_gpus(self._spec, connected.gpus)

    def run(self, job: Job, progress: Progress) -> RunReport:
        """Run the job; Ray's processes are gone when this returns, the cores are free for what comes next."""
        try:
            self._send(cloudpickle.dumps(dataclasses.replace(job, lease=Token(job.lease.token))))
            while True:
                message = self._receive(_LOOK_EVERY_S)
                if isinstance(message, Progressed):
                    progress(message.state)
                elif isinstance(message, Finished):
                    if self._address is not None:  # it takes its leave of the cluster
                        with contextlib.suppress(subprocess.TimeoutExpired):
                            self._process.wait(_LOOK_EVERY_S)
                    return message.report
                self._look()
        finally:
            self.close()

    def close(self) -> None:
        """End the child and all that it started; twice is the same as once."""
        self._connection.close()
        if self._process.poll() is None or in_session(self._process.pid):
            end_session(self._process.pid)
            self._process.wait()

    def _expect(self, kind: type[Any], limit_s: float, otherwise: str) -> Any:
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            if (message := self._receive(0.2)) is not None:
                assert isinstance(message, kind), message
                return message
        raise Failure(f"{otherwise} within {limit_s:.0f} s")

    def _send(self, message: object) -> None:
        try:
            self._connection.send(message)
        except OSError as error:
            raise self._ended() from error

    def _receive(self, wait_s: float) -> object:
        try:
            message = self._connection.recv() if self._connection.poll(wait_s) else None
        except (EOFError, OSError) as error:
            raise self._ended() from error
        if isinstance(message, Failed):
            raise message.error
        return message

    def _look(self) -> None:
        """Raise when what the packs run on is gone; Ray itself would wait a minute, and then end its process."""
        if time.monotonic() - self._looked < _LOOK_EVERY_S:
            return
        self._looked = time.monotonic()
        if self._address is None:
            living = set(in_session(self._process.pid).values())
            if gone := [part for part in _PARTS if part not in living]:
                raise Failure(f"Ray's process {gone[0]} was killed or crashed, and with it all packs")
        elif _silence(self._address) is None:
            self._answered = time.monotonic()
        elif time.monotonic() - self._answered > CONNECT_LIMIT_S:
            raise Failure(f"the Ray cluster at {self._address} has not answered for {CONNECT_LIMIT_S:.0f} s")

    def _logged(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def _ended(self) -> Failure:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5.0)
        lines = self._logged().splitlines()
        said = next((text for line in reversed(lines) if (text := _plain(line))), "it said nothing")
        return Failure(f"the process that talks to Ray ended with code {self._process.returncode} ({said})")


def _address() -> str | None:
    """Return the cluster's address, None for a local Ray."""
    ray = sys.modules.get("ray")
    if ray is not None and ray.is_initialized():
        return str(ray.get_runtime_context().gcs_address)
    address = os.environ.get("RAY_ADDRESS")
    return None if address in (None, "", "local") else address


def _silence(address: str) -> str | None:
    """Return why nothing can be reached at an address, None where something listens or Ray has to find it itself."""
    match = re.fullmatch(r"(?:\w+://)?\[?(?P<host>[^\[\]/]+?)\]?:(?P<port>\d+)/?", address)
    if match is None:
        return None
    try:
        socket.create_connection((match["host"], int(match["port"])), timeout=5.0).close()
    except (OSError, OverflowError) as error:
        return " ".join(str(getattr(error, "strerror", None) or error).split())
    return None


def _plain(line: str) -> str:
    """Return a line of a log without colours and the time, cut to what one line holds."""
    return re.sub(r"\x1b\[[0-9;]*m|^\[[^\]]*\]\s*", "", line).strip()[:200]
