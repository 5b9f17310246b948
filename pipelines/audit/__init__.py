"""What a data set really holds: counts, sizes, masks and duplicates, as numbers and as pictures to look at."""
