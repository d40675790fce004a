"""How the weights in `pretrained` were made."""
