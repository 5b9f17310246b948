"""Trials on disk: which there are, what identifies them, what they leave, and MLflow's copy."""
