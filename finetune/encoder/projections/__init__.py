"""The last stage of the encoder: projections of images, reports and sentences fitted to search."""
