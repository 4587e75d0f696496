"""The `os` module of the board that is played."""

from collections import namedtuple
from os import *  # noqa: F403

import board_sys

_Uname = namedtuple("uname_result", ("sysname", "nodename", "release", "version", "machine"))

# A board has no environment and no shell.
del getenv, putenv, unsetenv, system, errno


def uname():
    """What the board is."""
    version = board_sys.implementation.version
    release = ".".join([str(number) for number in version[:3]])
    if len(version) > 3 and version[3]:
        release += "-" + version[3]
    name = board_sys.platform
    return _Uname(name, name, release, "v" + release, board_sys.implementation._machine)


def sync():
    """Nothing is cached that would have to be written."""
