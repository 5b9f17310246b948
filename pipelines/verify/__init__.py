"""Rerun finished trials from a report and the data alone, and say whether the same comes out."""
