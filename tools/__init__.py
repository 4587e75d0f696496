"""Everything that a person does on a computer: `python3 -m tools VERB`."""
