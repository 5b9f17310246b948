"""From raw images to arrays: resized, filtered bilaterally, kept beside the unfiltered ones."""
