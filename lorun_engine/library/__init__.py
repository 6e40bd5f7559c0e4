"""Adapter sets as files: cards, models, the folder of sets, and what a set changes."""
