"""Whether citations hold, and whether reports over-rely on the retrieved cases."""
