"""The `sys` module of the board that is played: what tells it from a computer."""

import sys
from collections import namedtuple
from sys import *  # noqa: F403

import supervisor

_ESP32 = supervisor.settings["kind"] == "esp32"
_FIELDS = ("name", "version", "_machine", "_mpy", "_build")
# The low ten bits say which .mpy files it takes, the others for which machine code.
_MPY_FORMAT = 0x3FF
_XTENSAWIN = 10 << 10
_ARMV6M = 4 << 10

path = sys.path
stderr = sys.stdout  # a board has one console
platform = "esp32" if _ESP32 else "rp2"
implementation = namedtuple("implementation", _FIELDS)(
    sys.implementation.name,
    sys.implementation.version,
    supervisor.settings["machine"],
    (sys.implementation._mpy & _MPY_FORMAT) | (_XTENSAWIN if _ESP32 else _ARMV6M),
    "ESP32_GENERIC" if _ESP32 else "RPI_PICO_W",
)
