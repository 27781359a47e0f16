"""The process that talks to Ray; `sweeps.execution.runners.ray_session` starts, watches and ends it."""

from __future__ import annotations

import logging
import os
import pickle
import shutil
import sys
import tempfile
import threading
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import ray

from restoration_core.errors import Failure
from sweeps.execution.runners.coordinator_actor import as_ours
from sweeps.execution.runners.processes import end_session
from sweeps.execution.runners.ray_messages import Connected, Failed, Finished, Progressed, Setup, Started
from sweeps.execution.runners.ray_tune import run_packs
from sweeps.execution.sizing import usable_cores

OBJECT_STORE_BYTES = 256 * 1024 * 1024
_WORKER_ENVIRONMENT = {name: os.environ.get(name, "") for name in ("OMP_WAIT_POLICY",)}


def main() -> None:
    """Connect to Ray, run the job that comes, and leave."""
    parent = _Parent(Connection(int(sys.argv[1])))
    setup: Setup = parent.receive()
    parent.send(Started())
    try:
        _connect(setup)
        tempfile.tempdir = setup.folder  # only now: Ray has a folder of its own there, which others may look at
        parent.send(Connected(ray.cluster_resources().get("GPU", 0.0)))
        job = pickle.loads(parent.receive())
        parent.send(Finished(run_packs(job, Path(setup.folder), lambda state: parent.send(Progressed(state)))))
    except Exception as error:
        parent.send(Failed(as_ours(error) or _in_one_line(error)))
    if setup.address is not None:
        ray.shutdown()


class _Parent:
    """The other end of the connection; when it closes, all that this process started ends with it, its files too."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._lock = connection, threading.Lock()
        self._received: SimpleQueue[Any] = SimpleQueue()
        threading.Thread(target=self._read, name="parent", daemon=True).start()

    def receive(self) -> Any:
        return self._received.get()

    def send(self, message: object) -> None:
        with self._lock:
            self._connection.send(message)

    def _read(self) -> None:
        folder: str | None = None
        try:
            while True:
                message = self._connection.recv()
                folder = message.folder if isinstance(message, Setup) else folder
                self._received.put(message)
        except (EOFError, OSError):
            end_session(os.getsid(0))
            if folder is not None:  # the parent's to remove, but it may have been killed
                shutil.rmtree(folder, ignore_errors=True)
            os._exit(1)


def _connect(setup: Setup) -> None:
    common: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": True}
    if setup.address is not None:
        ray.init(address=setup.address, runtime_env={"env_vars": _WORKER_ENVIRONMENT}, **common)
        return
    wanted = setup.actors * setup.threads if isinstance(setup.actors, int) else 0
    ray.init(
        address="local",
        num_cpus=max(usable_cores(), wanted),
        include_dashboard=False,
        object_store_memory=OBJECT_STORE_BYTES,
        _node_ip_address="127.0.0.1",
        **common,
    )


def _in_one_line(error: Exception) -> Failure:
    first = next(iter(str(error).strip().splitlines()), "")
    failure = Failure(f"Ray failed with {type(error).__name__}: {' '.join(first.split())}")
    failure.add_note("".join(traceback.format_exception(error)))
    return failure
