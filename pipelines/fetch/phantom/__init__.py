"""Simulated B-mode ultrasound of the breast with exact masks: the data set that needs no download."""

from pipelines.fetch.phantom.cohort import Scan, generate, simulate

__all__ = ["Scan", "generate", "simulate"]
