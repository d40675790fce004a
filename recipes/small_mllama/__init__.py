"""The small base model in `pretrained/generator`: SmolLM2 with a trained vision encoder."""
