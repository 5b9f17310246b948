"""What one stage writes and another reads; each module owns its file: path, schema, writing, reading."""
