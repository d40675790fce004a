"""Images through the vision encoder of a Llama 3.2 Vision model."""
