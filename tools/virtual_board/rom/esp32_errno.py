"""The `errno` module of ESP32: its C library numbers network errors in its own way."""

from errno import *  # noqa: F403

ETIMEDOUT = 116
ENOTCONN = 128
EALREADY = 120
EADDRINUSE = 112
EINPROGRESS = 119
EHOSTUNREACH = 118
ECONNABORTED = 113
EOPNOTSUPP = 95
