"""Simulated magnetic resonance of an organ with lesions, in volumes with exact masks, which needs no download."""

from pipelines.fetch.phantom3d.volumes import SHAPE, SPACING, Volume, generate, simulate

__all__ = ["SHAPE", "SPACING", "Volume", "generate", "simulate"]
