"""Being told to stop, by real signals to this very process."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from restoration_core.interruption import (
    Interrupted,
    check_interruption,
    interruptible,
    telling_interruption,
    undisturbed,
)

SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]


@pytest.mark.parametrize(("number", "status"), SIGNALS)
def test_every_signal_that_asks_to_stop_is_raised_as_ctrl_c_is(number: signal.Signals, status: int) -> None:
    before = [signal.getsignal(item) for item, _ in SIGNALS]
    with pytest.raises(KeyboardInterrupt) as caught, interruptible():
        signal.raise_signal(number)
    assert isinstance(caught.value, Interrupted)
    assert caught.value.exit_status == status
    assert [signal.getsignal(item) for item, _ in SIGNALS] == before


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with interruptible():
            signal.raise_signal(signal.SIGHUP)
            check_interruption()
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_what_a_finaliser_swallowed_is_raised_at_the_next_step() -> None:
    class Fragile:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)

    with interruptible():
        fragile = Fragile()
        del fragile  # Python prints the exception and discards it
        with pytest.raises(Interrupted):
            check_interruption()


def test_the_next_command_does_not_hear_of_a_former_ones_signal() -> None:
    with pytest.raises(Interrupted), interruptible():
        signal.raise_signal(signal.SIGTERM)
    check_interruption()
    with interruptible():
        check_interruption()


def test_an_undisturbed_block_ends_before_the_signal_is_raised() -> None:
    done: list[int] = []

    def work() -> None:
        with interruptible():
            with undisturbed():
                os.kill(os.getpid(), signal.SIGTERM)
                done.append(1)
            done.append(2)

    with pytest.raises(Interrupted):
        work()
    assert done == [1]


def test_an_interruption_from_outside_is_told_from_one_that_code_raises_itself() -> None:
    with telling_interruption() as pressed:
        with pytest.raises(KeyboardInterrupt):
            raise KeyboardInterrupt
        assert not pressed()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert pressed()


def test_threads_leave_the_signals_alone() -> None:
    failures: list[BaseException] = []

    def work() -> None:
        try:
            with interruptible(), undisturbed(), telling_interruption() as pressed:
                assert not pressed()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert not failures
