"""Kinds of bad input, by what is spoilt. `test_bad_input.py` tries each; see `kinds.bad` for how to add one."""

from tests.support.bad_input import archives, catalogue, images, layouts, stages
from tests.support.bad_input.kinds import KINDS, Kind
from tests.support.bad_input.place import Place

__all__ = ["KINDS", "Kind", "Place", "archives", "catalogue", "images", "layouts", "stages"]
