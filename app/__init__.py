"""The window: PySide6 widgets bound to one Session. It uses the engine; the engine knows nothing of it."""
