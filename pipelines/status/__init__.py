"""Where a grid stands."""
