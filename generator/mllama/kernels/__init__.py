"""Kernels in Triton for decoding on a GPU, which compute what the operations of torch do."""
