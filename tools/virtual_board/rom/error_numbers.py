"""Error numbers of network operations, as the board that is played has them."""

import supervisor

_ESP32 = supervisor.settings["kind"] == "esp32"

EAGAIN = 11
ENOMEM = 12
EINVAL = 22
ENFILE = 23
ECONNRESET = 104
ECONNREFUSED = 111
ECONNABORTED = 113 if _ESP32 else 103
ETIMEDOUT = 116 if _ESP32 else 110
EHOSTUNREACH = 118 if _ESP32 else 113
HOST_EPIPE = 32
HOST_EINPROGRESS = 115

# Linux's numbers, which are Pico W's too, and those of ESP32's C library.
_ON_ESP32 = {
    HOST_EPIPE: ECONNRESET,  # lwIP has no other
    89: 121,  # EDESTADDRREQ
    90: 122,  # EMSGSIZE
    93: 123,  # EPROTONOSUPPORT
    97: 106,  # EAFNOSUPPORT
    98: 112,  # EADDRINUSE
    99: 125,  # EADDRNOTAVAIL
    100: 115,  # ENETDOWN
    101: 114,  # ENETUNREACH
    103: 113,  # ECONNABORTED
    106: 127,  # EISCONN
    107: 128,  # ENOTCONN
    110: 116,  # ETIMEDOUT
    113: 118,  # EHOSTUNREACH
    114: 120,  # EALREADY
    115: 119,  # EINPROGRESS
}


def of_board(error):
    """The host's OSError as the board raises it."""
    if _ESP32 or error.errno == HOST_EPIPE:
        return OSError(_ON_ESP32.get(error.errno, error.errno))
    return OSError(error.errno)
