"""What things cost and how they compare, measured: each script is `python -m benchmarks.<name>`."""
