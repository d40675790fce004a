"""Data sets of images with texts, as people bring them: from files or a hub to examples."""
