"""The audit of docs/audit.md: where the paper, its notebook and this library differ, in figures."""
