"""The computer's end of an emulated board's USB: its serial console."""

from __future__ import annotations

from collections.abc import Callable

from rp2040py.peripherals.usb import INTR_DEV_SOF, SOF_RD
from rp2040py.rp2040 import RP2040
from rp2040py.usb.cdc import USBCDC

_FRAME_NS = 1_000_000


class UsbConsole:
    """What is typed goes to the board, what it prints to `on_output`.

    It is a host in what rp2040py's is not: with nothing to send it stays silent (rp2040py answers
    every request of the board with an empty packet, which keeps the board busy, so that waiting
    costs hundreds of times as much computing), and it starts a frame each millisecond, on which
    MicroPython sends what it printed before it was connected.
    """

    def __init__(self, rp2040: RP2040, on_output: Callable[[bytes], None]):
        self._usb = rp2040.usb_ctrl
        self._cdc = USBCDC(self._usb)
        self._cdc.on_serial_data = lambda data: on_output(bytes(data))
        self._answer_control = self._usb.on_endpoint_read
        self._forget = self._usb.on_reset
        self._usb.on_endpoint_read = self._on_endpoint_read
        self._usb.on_reset = self._on_reset
        self._typed = bytearray()
        self._asked: tuple[int, int] | None = None
        self._read_register = self._usb.read_uint32
        self._usb.read_uint32 = self._read
        self._frame = rp2040.clock.create_alarm(self._start_frame)
        self._frame.schedule(_FRAME_NS)

    @property
    def unread(self) -> int:
        """How many bytes were typed that the board has not taken yet."""
        return len(self._typed)

    def type(self, data: bytes) -> None:
        """Send bytes to the board, as fast as it takes them."""
        self._typed += data
        if self._asked and self._typed:
            self._give(*self._asked)

    def _on_endpoint_read(self, endpoint: int, size: int) -> None:
        if endpoint == 0:
            self._answer_control(endpoint, size)
        elif self._typed:
            self._give(endpoint, size)
        else:
            self._asked = endpoint, size

    def _start_frame(self) -> None:
        self._frame.schedule(_FRAME_NS)
        self._usb._int_raw |= INTR_DEV_SOF
        if self._usb._int_enable & INTR_DEV_SOF:
            self._usb.check_interrupts()

    def _read(self, register: int) -> int:
        if register == SOF_RD:
            self._usb._int_raw &= ~INTR_DEV_SOF
            self._usb.check_interrupts()
        return self._read_register(register)

    def _give(self, endpoint: int, size: int) -> None:
        self._asked = None
        packet = bytes(self._typed[:size])
        del self._typed[:size]
        self._usb.endpoint_read_done(endpoint, packet)

    def _on_reset(self) -> None:
        self._asked = None
        self._typed.clear()
        if self._forget:
            self._forget()
