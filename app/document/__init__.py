"""The document of the window: what is open, decoded and looked at, as values and verbs; it draws nothing."""
