"""The training's process and its folder, as the window follows them; it draws nothing."""
