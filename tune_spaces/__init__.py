"""What to run, as data: studies in YAML, and the code that validates and expands them."""

from tune_spaces.strict_yaml import ConfigError
from tune_spaces.study import Study, load_study, study_names

__all__ = ["ConfigError", "Study", "load_study", "study_names"]
