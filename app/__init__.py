"""The window: PySide6 widgets bound to one session. It uses the engine; the engine knows nothing of it.

    __main__  main_window               the command; what is wired to what
    actions  verbs                      everything one can do, in one table; what it does
    assembly                            makes the session and its parts in order, closes them in order
    job problems settings kinds         words that every room uses: work in a thread, sentences, what is remembered,
    quantities render resources         how tasks are shown, numbers in words, arrays as bytes, files that come along

    pages       full pages that take the place of the restoration
    panels      cards, docks and dialogs around the pictures
    viewers     pictures and curves
    widgets     how the window looks, and pieces that the three above are made of
    training    the training's process and its folder, as the window follows them
    document    what is open, decoded and looked at, as values and verbs

A room imports only rooms below it. `document` and `training` draw nothing: no QtWidgets, no pyqtgraph, and nothing of
the four rooms above them. No two modules import each other, not even for types.

In `document` the session stands on `lanes` (threads), `memory` (settings) and `setup` (the next decode). It knows none
of the parts that work on it (`looking`, `exports`, `regions`, `checking`, `comparing`, `workshop`, ...): they know the
session and follow its signals. A widget gets all of them as `Parts`, calls verbs, and redraws on signals; what it
shows it keeps nowhere else.

The table of `tests/test_house.py` says which rooms each imports, and fails where an import goes against it.
"""
