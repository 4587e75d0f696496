"""Tell a board its Wi-Fi over its serial port, by the Improv standard."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field

import serial

from tools.flash.errors import (
    FAILED,
    PROVISIONED,
    REFUSED,
    TIME_RAN_OUT,
    FlashingError,
    sentences,
)
from tools.flash.troubles import why_not_open
from tools.improv import Client, ImprovError
from tools.virtual_board.console import Console

_BAUD = 115200
# Seconds: for a read, until a board answers, for what it answers at once, for a scan.
_READ = 0.05
_ANSWERS_WITHIN = 20.0
_AT_ONCE = 5.0
_SCANS_WITHIN = 30.0
# Until MicroPython and the firmware have started, and nothing that is typed stops them.
_STARTS_WITHIN = 3.0
_START_AGAIN = b"\x03\x03\x02\x04"
# What the board says of settings that it does not try.
_REFUSAL = "Improv: wrong or missing: "
_RESULTS = {PROVISIONED: "provisioned", REFUSED: "refused", TIME_RAN_OUT: "time ran out"}


@dataclass
class Result:
    """What became of it: `result` in words; `url`: where to go. `detail`: why not, and the fix."""

    port: str
    result: str = "failed"
    exit_code: int = FAILED
    device: list[str] = field(default_factory=list)
    networks: list[list[str]] = field(default_factory=list)
    ssid: str = ""
    url: str = ""
    detail: str = ""

    def fields(self) -> dict:
        """What --json shows."""
        return asdict(self)


class Onboarding:
    """Speaks with the board at a port, while in its `with` block. Raises FlashingError.

    `say` takes what happens, `on_line` the lines of the board's console.
    """

    def __init__(self, port: str, say: Callable[[str], None], on_line: Callable[[str], None]):
        self.result = Result(port)
        self._say = say
        self._on_line = on_line
        self._console = Console()
        self._headline = ""
        self._refusal = ""
        self._line: serial.Serial | None = None

    def __enter__(self) -> Onboarding:
        port = self.result.port
        try:
            self._line = serial.serial_for_url(port, _BAUD, timeout=_READ, exclusive=True)
        except (serial.SerialException, OSError, ValueError):
            trouble = why_not_open(port)
            raise trouble or FlashingError(f"{port} cannot be opened", "Try again") from None
        self._client = Client(self._line, self._follow)
        try:
            with self._explained():
                self._find()
        except BaseException:
            self._line.close()
            raise
        return self

    def __exit__(self, *_) -> None:
        self._line.close()

    def scan(self) -> Result:
        """Ask for the networks in range."""
        with self._explained():
            self._say("the board listens for networks")
            self.result.networks = self._client.networks(_SCANS_WITHIN)
        self.result.result, self.result.exit_code = "scanned", PROVISIONED
        return self.result

    def join(self, ssid: str, password: str, timeout: float) -> Result:
        """Have the board join, and follow it until it is provisioned, in all `timeout` seconds."""
        result = self.result
        result.ssid = ssid
        ends = time.monotonic() + timeout
        self._say(f'the board tries "{ssid}"')
        try:
            with self._explained():
                result.url = self._client.join(ssid, password, timeout)
        except FlashingError as error:
            tried = self._headline.startswith("Wi-Fi:")
            result.detail = self._headline if tried else sentences(error.what, self._refusal)
            if time.monotonic() >= ends:
                result.result, result.exit_code = _RESULTS[TIME_RAN_OUT], TIME_RAN_OUT
            return result
        self._say(f'the board is in "{ssid}"')
        with self._explained():
            for _ in self._client.listen(ends - time.monotonic()):
                if self._console.provisioned or self._console.gave_up:
                    break
        is_known = self._console.provisioned or self._console.gave_up
        result.exit_code = self._console.exit_code if is_known else TIME_RAN_OUT
        result.result = _RESULTS.get(result.exit_code, "failed")
        if result.exit_code != PROVISIONED:
            result.detail = sentences(
                f'the board is in "{ssid}" and not provisioned', self._headline
            )
        return result

    def _find(self) -> None:
        self._say("looking for the board")
        ends = time.monotonic() + _ANSWERS_WITHIN
        while not self._client.is_there(ends - time.monotonic()):
            if time.monotonic() >= ends or not self._client.begun.endswith(">>> "):
                raise FlashingError(
                    f"{self.result.port}: the board does not answer Improv",
                    "It does where config.json has `onboarding`, while it has no Wi-Fi; press its "
                    "reset button and start this again",
                )
            # What asks for the state is a Ctrl-C to a board that does not listen yet.
            self._say("the board was stopped; it starts again")
            self._client.write(_START_AGAIN)
            for _ in self._client.listen(_STARTS_WITHIN):
                pass
        self.result.device = self._client.device(_AT_ONCE)
        firmware, version, chip, name = (self.result.device + [""] * 4)[:4]
        self._say(f'it is "{name}": {firmware} {version} on {chip}')

    def _follow(self, line: str) -> None:
        self._on_line(line)
        self._console.feed(line)
        text = line.partition("] ")[2]
        if text.startswith(_REFUSAL):
            self._refusal = f"The board lacks {text[len(_REFUSAL) :]}; its page asks for that"
        if text.startswith(f"{self._console.state}:"):
            self._headline = text
        elif text.startswith("  "):
            self._headline = sentences(self._headline, text.strip())

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except ImprovError as error:
            raise FlashingError(str(error), "") from None
        except (serial.SerialException, OSError):
            raise FlashingError(
                f"{self.result.port}: the connection broke off", "Check the cable"
            ) from None
