"""How the window looks, and the pieces that viewers, panels and pages are made of."""
