"""The small base model in `pretrained/generator`: SmolLM2 taught to see radiographs."""
