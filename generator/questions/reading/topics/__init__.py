"""The topics that a chest X-ray does not answer: forms of questions, and what declines them."""
