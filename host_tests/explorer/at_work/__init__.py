"""A device at work in virtual time: the real Device, the model of ThingsBoard, what goes wrong.

stories: what the operator and the application do.  life: one story lived through, and what has to
hold in it.  schedules: what becomes of datagrams, and what happens when.  mutants: a Device with
one of its protections off.
"""
