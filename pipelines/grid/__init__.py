"""The grid: every trial of a study that is not done, on Ray."""

import os

# Ray reads it when it is first imported. Its own 30 seconds are too few where a machine has other work.
os.environ.setdefault("RAY_raylet_start_wait_time_s", "300")
