"""In what order the workers of the suite are handed tests: the cores are busy to its end, and nothing is made twice.

Tests that start clusters mostly wait, for processes of theirs. They are spread over the suite, so that others compute
beside each; and so are slow ones, but neither over its last part, where only quick tests are left to fill what time
the other workers need. With `--dist loadscope` a worker takes the next test when it is nearly done with those it has,
and all tests of a file in which something is made for the module as one.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

SPREAD = {"cluster": 0.8, "slow": 0.9}
"""Over what part of the suite the tests of a marker are spread."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: there are always tests that wait."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> InOrder | None:
    return InOrder(config, log) if config.getvalue("dist") == "loadscope" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of each kind evenly over their part of the suite, in their own order."""
    kinds: dict[str, list[pytest.Item]] = {kind: [] for kind in (*SPREAD, "")}
    for item in items:
        kinds[next(filter(item.get_closest_marker, SPREAD), "")].append(item)
    places = [
        (SPREAD.get(kind, 1.0) * number / len(those), item)
        for kind, those in kinds.items()
        for number, item in enumerate(those)
    ]
    items[:] = [item for _, item in sorted(places, key=lambda place: place[0])]


class InOrder(LoadScopeScheduling):
    """Hands out tests in their order: one by one, or by files that share what they make."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return file if shares(self.config.rootpath / file) else nodeid


@cache
def shares(file: Path) -> bool:
    """Whether something is made once for all tests of a file."""
    return 'scope="module"' in file.read_text(encoding="utf-8")
