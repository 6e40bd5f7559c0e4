"""The tables of the paper, computed again beside its figures."""
