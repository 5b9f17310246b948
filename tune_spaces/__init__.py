"""What to run, as data: studies in YAML, and the code that validates and expands them."""
