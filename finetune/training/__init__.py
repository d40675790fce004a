"""The training loop that adapters, encoders and the small base model share."""
