"""What is remembered: cases inside an index, generations outside it."""
