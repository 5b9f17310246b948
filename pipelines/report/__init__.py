"""What the trials say: tables, comparisons, figures and a page that opens from disk."""
