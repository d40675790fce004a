"""Ways to decode and embed the batches of a build: in this process, in several, or in Ray."""
