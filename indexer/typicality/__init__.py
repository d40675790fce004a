"""What the images of an index usually look like."""
