"""What every part of the platform stands on: commands, console, files, locks, checksums, threads, images."""
