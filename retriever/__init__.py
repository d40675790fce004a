"""From an X-ray to hits."""
