"""The board's line to the process that plays its power supply, reset button and watchdog.

Settings come in through the environment; events go out on standard error, one JSON object a line
behind a record separator, so that they mix with nothing a program prints.
"""

import binascii
import json
import os
import sys
import time

RECORD_SEPARATOR = "\x1e"
# On the console, in front of what the REPL says first.
REPL_FOLLOWS = "\x1erepl\x1e"

settings = json.loads(os.getenv("VIRTUAL_BOARD"))
scenario = settings["scenario"]
_line = sys.stderr


def tell(event, **details):
    """Report an event, such as a reset or a changed pin, to the supervisor."""
    details["event"] = event
    _line.write(RECORD_SEPARATOR + json.dumps(details) + "\n")


def reset(cause, **details):
    """Ask for a reset, and wait for it."""
    tell("reset", cause=cause, rtc_memory=settings["rtc_memory"], **details)
    while True:  # the supervisor takes the power away
        time.sleep_ms(1000)


def put_default_network_in_range(config_file):
    """Without networks in the scenario, those that config.json names are in range."""
    if scenario["networks"] is not None:
        return
    scenario["networks"] = []
    try:
        # As the firmware reads it: some editors put a byte order mark in front.
        wifi = json.loads(config_file.read().lstrip("\ufeff"))["wifi"]
        found = [
            {"ssid": each["ssid"], "password": each.get("password", "")}
            for each in (wifi if isinstance(wifi, list) else [wifi])
        ]
    except (ValueError, KeyError, TypeError, AttributeError, MemoryError, RuntimeError):
        return  # a mistake in config.json is the firmware's to report
    for network in found:
        network.update({"delay_ms": 50, "appears_after_ms": 0, "drops": [], "dhcp": True})
        network.update({"rssi": -50, "channel": 1, "security": None})
    scenario["networks"] = found


def unique_id():
    """The board's machine.unique_id()."""
    return binascii.unhexlify(scenario["id"])


def mac(is_station=True):
    """An interface's MAC address: an ESP32's station has the unique id, a Pico W has one alone."""
    if settings["kind"] != "esp32":
        return b"\x28\xcd\xc1" + unique_id()[-3:]
    return unique_id()[:5] + bytes([(unique_id()[5] + (not is_station)) & 0xFF])
