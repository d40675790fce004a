"""Whether citations hold, and what is copied without need."""
