"""What every part of the platform stands on: console, files, locks, checksums, threads, images."""
