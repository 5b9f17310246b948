"""MLflow's pages on this machine."""
