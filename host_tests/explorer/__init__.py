"""Explores every way in which a power-up can be cut short, and proves that nothing is lost.

The firmware is the real one, on a real littlefs, against the model of ThingsBoard behind
Californium's message layer, all in virtual time. `python -m host_tests.explorer` runs it.
"""

from tools import shims

shims.install()

from host_tests.firmware import world as _  # noqa: E402, F401 - imports what needs `machine`
