"""What training promises, tried through a backend on a tiny model."""
