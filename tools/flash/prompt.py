"""Reaches MicroPython's raw REPL, whatever the board does just then."""

from __future__ import annotations

import time

from mpremote.transport_serial import SerialTransport

from tools.flash.troubles import boot_loader_s, no_prompt

PROMPT = b">>> "
RAW = b"raw REPL; CTRL-B to exit\r\n"
_SOFT_REBOOT = b"soft reboot\r\n"
_CTRL_C, _CTRL_D, _TO_RAW = b"\r\x03", b"\x04", b"\r\x01"
_KEPT = 4000
# Seconds. A board that resolves a name or erases its flash hears nothing for some of them.
_SILENT_FOR = 10.0
_RUNS_FOR = 20.0
_PRESS_AGAIN = 0.1
_QUIET = 0.05
_LOOK_AGAIN = 0.01
_ANSWERS_WITHIN = 0.3
# How long boot.py may take before it is interrupted, and then until it has to have ended.
_BOOT_PY_TAKES = 0.5
_BOOT_PY_ENDS = 5.0


def reach_raw_repl(transport: SerialTransport, port: str) -> None:
    """Interrupt what runs until the raw REPL answers. Raises FlashingError when it never does.

    As long as the board says something it is given time, but not for ever.
    """
    line, heard = transport.serial, b""
    began = heard_at = time.monotonic()
    pressed = 0.0
    while (now := time.monotonic()) < min(heard_at + _SILENT_FOR, began + _RUNS_FOR):
        if now - pressed > _PRESS_AGAIN:
            line.write(_CTRL_C + _TO_RAW)
            pressed = now
        if waiting := line.in_waiting:
            heard = (heard + line.read(waiting))[-_KEPT:]
            heard_at = now
        else:
            time.sleep(_LOOK_AGAIN)
        if RAW in heard:
            if _answers(transport):
                return
            heard = heard.replace(RAW, b"")
        elif trouble := boot_loader_s(port, heard):
            raise trouble
    raise no_prompt(port, heard)


def enter_if_idle(transport: SerialTransport) -> bool:
    """Enter the raw REPL of a board that is at its prompt. A program that runs is not stopped."""
    line = transport.serial
    line.read(line.in_waiting)
    line.write(b"\r")
    heard = transport.read_until(1, PROMPT, timeout=_ANSWERS_WITHIN, timeout_overall=1)
    return heard.endswith(b"\r\n" + PROMPT) and _answers(transport)


def start_afresh(transport: SerialTransport, port: str) -> None:
    """Soft-reset the board: its heap is free again, no timer runs. The raw REPL answers then.

    A boot.py that takes long is interrupted. Raises FlashingError.
    """
    line, heard = transport.serial, b""
    line.write(_CTRL_D)
    began = time.monotonic()
    pressed = began + _BOOT_PY_TAKES
    while (now := time.monotonic()) < began + _BOOT_PY_ENDS:
        if now - pressed > _PRESS_AGAIN:
            line.write(_CTRL_C)
            pressed = now
        heard = (heard + line.read(line.in_waiting))[-_KEPT:]
        _, rebooted, after = heard.rpartition(_SOFT_REBOOT)
        if rebooted and RAW in after and _answers(transport):
            return
        time.sleep(_LOOK_AGAIN)
    reach_raw_repl(transport, port)


def _answers(transport: SerialTransport) -> bool:
    """Whether it is the raw REPL, and not what was left of its banner; its `>` is still to read."""
    line = transport.serial
    began = quiet_since = time.monotonic()
    while (now := time.monotonic()) - quiet_since < _QUIET and now - began < 10 * _QUIET:
        if waiting := line.in_waiting:
            line.read(waiting)
            quiet_since = now
        else:
            time.sleep(_LOOK_AGAIN)
    line.write(_TO_RAW)
    transport.in_raw_repl = transport.read_until(1, RAW, timeout=1, timeout_overall=2).endswith(RAW)
    return transport.in_raw_repl
