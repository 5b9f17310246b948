#!/usr/bin/env bash
# ray 2.60.0 with optuna 5.0.0: a trial whose score is NaN stays "RUNNING" in the Optuna study of `OptunaSearch` for ever.
#
# Guessed: FAIL, which is what `Study.optimize` makes of NaN. Seen: `tell` refuses NaN for the state COMPLETE, the searcher
# logs that and takes the trial for done. In a study with a storage it looks as if it trained still, whoever counts
# failures finds none, and heartbeats or `constant_liar` take it for running. A trial that ended with an error is FAIL.
# Who meets this: every search in which a learning rate diverges. (Ours tells the searcher of an error instead:
# pipelines/grid/proposals.py.)
set -euo pipefail
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
python3 -m venv "$room/venv"
"$room/venv/bin/pip" install --quiet --disable-pip-version-check "ray[tune]==2.60.0" optuna==5.0.0
"$room/venv/bin/python" -W ignore - <<'PYTHON'
import logging

import optuna
from ray import tune
from ray.tune.search.optuna import OptunaSearch

logging.disable(logging.WARNING)
optuna.logging.set_verbosity(optuna.logging.ERROR)

study = optuna.create_study()
search = OptunaSearch({"x": tune.uniform(0, 1)}, metric="score", mode="min", storage=study._storage, study_name=study.study_name)
for name, result, error in (("good", {"score": 1.0}, False), ("diverged", {"score": float("nan")}, False), ("raised", None, True)):
    search.suggest(name)
    search.on_trial_complete(name, result, error)
by_ray = [trial.state.name for trial in study.trials]

alone = optuna.create_study()
alone.optimize(lambda trial: float("nan") * trial.suggest_float("x", 0, 1), n_trials=1)
print("by Ray, good, NaN, error:", by_ray, "; NaN by Optuna itself:", alone.trials[0].state.name)
assert by_ray == ["COMPLETE", "RUNNING", "FAIL"], "the searcher tells of NaN in another way now"
assert alone.trials[0].state.name == "FAIL"
PYTHON
