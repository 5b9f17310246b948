"""In what order the workers of the suite are handed tests: the cores are busy to its end, and nothing is made twice.

Tests that start clusters mostly wait, for processes of theirs. They are spread over the suite, so that others compute
beside each; and so are slow ones, but neither over its last part, where only quick tests are left to fill what time
the other workers need. With `--dist loadgroup` a worker takes the next test when it is done with one, and all tests
that share what was made for their module as one.
"""

from __future__ import annotations

import os

import pytest

SPREAD = {"cluster": 0.7, "slow": 0.8}
"""Over what part of the suite the tests of a marker are spread."""


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: there are always tests that wait."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if shares(item):
            item.add_marker(pytest.mark.xdist_group(item.location[0]))
    items[:] = spread(items)


def shares(item: pytest.Item) -> bool:
    """Whether a test reads what is made once for its module."""
    made = item._fixtureinfo.name2fixturedefs.values()  # type: ignore[attr-defined] # noqa: SLF001
    return any(definitions[-1].scope == "module" for definitions in made)


def spread(items: list[pytest.Item]) -> list[pytest.Item]:
    """Tests of each kind evenly over their part of the suite, in their own order."""
    kinds: dict[str, list[pytest.Item]] = {}
    for item in items:
        kinds.setdefault(next(filter(item.get_closest_marker, SPREAD), ""), []).append(item)
    places = [
        (SPREAD.get(kind, 1.0) * number / len(those), item)
        for kind, those in kinds.items()
        for number, item in enumerate(those)
    ]
    return [item for _, item in sorted(places, key=lambda place: place[0])]
