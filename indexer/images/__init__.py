"""Image files to 8-bit radiographs."""
