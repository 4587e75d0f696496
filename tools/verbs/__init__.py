"""The verbs of `python3 -m tools`, one a file: its options, its help, one call."""
