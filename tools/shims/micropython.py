"""MicroPython's `micropython` module, as far as it means anything to CPython."""


def const(value):
    """A constant, which MicroPython's compiler puts in place of its name."""
    return value


def kbd_intr(byte):
    """Which byte on the console interrupts: CPython's console is a terminal's affair."""
