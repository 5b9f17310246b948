"""What finished trials say about claims."""
