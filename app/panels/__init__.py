"""The cards and docks around the pictures: each shows a part of the session and calls its verbs."""
