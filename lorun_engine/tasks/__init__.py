"""One file a task: its operator, its camera and its decoders without weights; kernels, noise, withheld values."""
