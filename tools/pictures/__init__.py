"""The pictures in README.md, drawn from what was recorded and from the code itself."""
