"""Finished trials stand for those of changed code that computes the same."""
