"""A board's whole life in virtual time, with all that can happen to it, drawn from a seed.

plan: what happens to whom and when, and what kind of application it is.  power: a flash and a board
whose power may go in the middle of anything.  application: what runs on it, and looks at what it is
given.  fate: what happens, and what people do.  life: the board lives, and what has to hold all
along.  ending: what has to be in the end.
"""
