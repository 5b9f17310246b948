"""docs/findings.md: every number read from committed reports and results."""
