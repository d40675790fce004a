"""Kernels in CUDA, compiled where they run."""
