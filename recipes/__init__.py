"""Recipes: how the small base model and the drawn example were made."""
