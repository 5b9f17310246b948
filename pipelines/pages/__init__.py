"""What pages and figures share: palette, style, HTML, what is shown of a volume."""
