"""What a folder of images holds, and the entry of the catalogue that would read it."""
