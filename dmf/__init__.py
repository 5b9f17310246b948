"""Dynamic Memory Fusion."""
