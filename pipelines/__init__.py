"""The platform: DVC stages from raw images to a report, Ray for the grid, MLflow for the records."""
