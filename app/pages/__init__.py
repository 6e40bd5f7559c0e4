"""Full pages that take the place of the restoration."""
