"""What data sets are: the catalogue, its readers, how cases become arrays, how they may be dealt into splits."""
