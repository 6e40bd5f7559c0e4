"""Unfolding networks: denoisers, data steps, low-rank adapters, and the loop that joins them."""
