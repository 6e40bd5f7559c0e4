"""Training and adapting: recipes, the loop, its state, and the folder of a run."""
