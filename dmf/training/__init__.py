"""How a trial trains: `TrialSpec` and data in, records out."""
