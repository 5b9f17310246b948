"""Stage `fetch`: bring data sets to `data/raw/<name>`, verified, whole or not at all."""
