"""One function in a second process, beside the rest of a stage."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import TypeVar

from pipelines.core.console import StageError

Result = TypeVar("Result")


@contextmanager
def in_background(function: Callable[[], Result]) -> Iterator[Callable[[], Result]]:
    """Begin `function` in a second process; the yielded one waits for its result, or raises what it raised.

    The process is a fork: it sees all that is in memory and copies none of it, and what it changes there nobody sees,
    so that its work is files and a result that can be pickled. It ends with the block, however that is left, and with
    this process, however that is killed. Only Linux forks safely: elsewhere the function runs here, when asked for.

    Raises:
        StageError: when asked for the result, if the process was killed.
    """
    if sys.platform != "linux":
        yield function
        return
    system = multiprocessing.get_context("fork")
    receiver, sender = system.Pipe(duplex=False)
    process = system.Process(target=_work, args=(function, sender), daemon=True)

    def result() -> Result:
        try:
            value, error = receiver.recv()
        except EOFError as broken:
            process.join()
            raise StageError(
                f"The second process of this stage was ended with exit code {process.exitcode} (-9: killed, as a rule "
                "for want of memory). Give the machine more memory or less to do, and run the stage again."
            ) from broken
        if error is not None:
            raise error
        return value

    try:
        with warnings.catch_warnings():
            # Python 3.12 warns of every fork beside threads: those here are numpy's and torch's, which wait meanwhile.
            warnings.filterwarnings("ignore", ".* is multi-threaded, use of fork", DeprecationWarning)
            process.start()
        sender.close()
        yield result
    finally:
        if process.pid is not None:
            process.kill()
            process.join()
        receiver.close()


def _work(function: Callable[[], Result], sender: Connection) -> None:
    """What the second process does. Ctrl-C reaches both: the first one decides."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        sender.send((function(), None))
    except Exception as error:
        error.add_note(f"In the second process:\n{traceback.format_exc()}")
        sender.send((None, error))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)
