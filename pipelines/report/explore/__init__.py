"""What the page lets a reader explore: every history, every test image, every number's origin, quality against cost."""
