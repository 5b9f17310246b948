"""Readers: from the publisher's folders to a list of cases.

A reader is an entry of `READERS` (`registry.py`): a function `(folder, labels) -> cases`, and how the publisher's masks
are encoded. `pipelines.datasets.cases` makes arrays of them.
"""
