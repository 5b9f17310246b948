"""For every test: single-threaded torch, no deadlines, what `gpu` and `integrations` mean, and `dmf` by itself.

`tests/dmf` runs with torch, numpy, jaxtyping, pytest and hypothesis alone: what needs more is skipped there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from importlib.util import find_spec

import pytest
import torch
from hypothesis import settings

PLATFORM = find_spec("ray") is not None

pytest_plugins = ["tests.support.secrecy", "tests.support.order"] if PLATFORM else []

# Ray's workers run at nice 15: beside other work tests would wait for them as long as that lasts.
os.environ.setdefault("RAY_worker_niceness", "0")

settings.register_profile("patient", deadline=None)  # timings never decide a test
settings.load_profile("patient")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("no GPU")
    if item.get_closest_marker("integrations") and find_spec("lightning") is None:
        pytest.skip("run by `make test-integrations`")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Without the platform, skip what says that it needs an extra."""
    try:
        return (yield)
    except ImportError as error:
        if PLATFORM or "dynamic-memory-fusion[" not in str(error):
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def set_threads() -> Iterator[Callable[[int], None]]:
    """Says how many threads torch uses, until the test ends."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)
