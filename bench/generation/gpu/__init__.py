"""Parts of the benches of one GPU, and what a start costs there."""
