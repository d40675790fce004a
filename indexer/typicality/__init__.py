"""How typical an image is of those in an index: the basis of out-of-distribution detection."""
