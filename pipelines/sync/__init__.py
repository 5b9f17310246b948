"""MLflow, brought level with the disk by hand."""
