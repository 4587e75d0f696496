"""How the firmware does on the real image of a Pico W, in emulated board time."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from tools.fake_thingsboard.certificates import LONG, issue, new_ca
from tools.fake_thingsboard.codec import ACK, Message, decode, encode
from tools.fake_thingsboard.dtls import DTLSRelay
from tools.fake_thingsboard.endpoint import Endpoint
from tools.fake_thingsboard.model import ThingsBoard
from tools.fake_thingsboard.server import FakeThingsBoard
from tools.measure.bench import SCRIPTS, MeasureError, bench, compile_to
from tools.measure.figures import LEAST_FILES, PowerUps
from tools.measure.modules import in_order
from tools.measure.peers import LEAST, MICROCOAPY
from tools.measure.responder import Responder
from tools.pico_w.flash_file import put_firmware
from tools.pico_w.heap import QUESTION, Heap
from tools.pico_w.image import version_of
from tools.pico_w.loopback import Loopback
from tools.pico_w.machine import Machine
from tools.pico_w.network import GATEWAY, Network
from tools.virtual_board.flash import put_on_flash

_LONGEST = 60_000  # ms of emulated board time
_CREATED = 0x41
_SAMPLE = 0.25  # ms
_NAMES_OF_CERTIFICATE = 12  # so many make it longer than a block
_KEY, _SECRET = "0123456789abcdefghij", "jihgfedcba9876543210"
_ID = bytes.fromhex("e66138528334ab21")
_NAME = f"sensor-{_ID.hex()}"
# As short as can be: the board compiles it.
APP = b"""\
import gc, time

def run(credentials):
    print("app.py at", time.ticks_ms(), "with", gc.collect() or gc.mem_free(), "bytes")
"""
# A telemetry loop with calls and attributes.
_AT_WORK = b"""\
import gc

def run(credentials):
    from firmware.device import Device

    device = Device(credentials)
    device.on_rpc("setRelay", lambda is_on: {"on": is_on})
    device.on_attributes(lambda values: None)
    for _ in range(4):
        device.send_telemetry({"temperature": 21.5})
        device.wait(50)
    gc.collect()
    free = gc.mem_free()
    gc.disable()
    device.send_telemetry({"temperature": 21.5})
    print("app.py has", free, "and leaves", free - gc.mem_free(), "bytes")
"""
_LEAVES = re.compile(r"app\.py has (\d+) and leaves (\d+) bytes")
_ON_BATTERY = b"""\
from firmware.device import Device

def run(credentials):
    device = Device(credentials, awake=20_000)
    device.send_telemetry({"temperature": 21.5})
    device.sleep(600_000)
"""
# Imports the modules again that a first power-up imports, in the order that they want each other.
_IMPORTS = """\
import sys, time

def run(credentials):
    names = {!r}.split()
    for name in names:
        sys.modules.pop(name, None)
    began = time.ticks_us()
    for name in names:
        __import__(name)
    print("imported in", time.ticks_diff(time.ticks_us(), began), "us")
"""
_IMPORTED = re.compile(r"imported in (\d+) us")
_STARTED = re.compile(r"app\.py at (\d+) with (\d+) bytes")


class Run:
    """One board with its ThingsBoard, sampled while it runs."""

    def __init__(self, image: Path, say: Callable[[str], None]):
        self.image = image
        self.say = say
        self.network = Network(self)
        self.endpoint = Endpoint(ThingsBoard(_KEY, _SECRET))
        self.heap: Heap | None = None
        # microCoAPy's options are in no order that leads to ThingsBoard's path.
        self.takes_any_path = False

    def send(self, guest, server, datagram) -> None:
        """Answer as ThingsBoard does (tools.pico_w.network.FarSide)."""
        if self.takes_any_path:
            self.network.answer(guest[1], server, _token_for(decode(datagram)))
            return
        for each in self.endpoint.received(guest, datagram, int(self.machine.ms)):
            self.network.answer(guest[1], server, each.datagram)

    def power_up(self, files: bytes | None) -> None:
        """Begin a power-up."""
        self.console, self.wanted, self.least = "", "", None
        self.machine = Machine(self.image, files, _ID, self.network, self._on_console)

    def until(self, text: str) -> float:
        """Run until the console has a text; gives when that was. Raises MeasureError."""
        self.wanted = text
        while text not in self.console:
            if self.machine.ms > _LONGEST:
                raise MeasureError(f"the board did not say {text!r}:\n{self.console}")
            self.machine.run()
        return self.machine.ms

    def calibrate(self) -> int:
        """Find the heap of the image, on a board with nothing on it; gives what is free."""
        self.power_up(None)
        self.until(">>> ")
        self.machine.console.type(QUESTION)
        self.until("heap has ")
        while not self.console.endswith(">>> "):
            self.machine.run()
        said = self.console
        free = int(said.rpartition("heap has ")[2].split()[0])
        try:
            self.heap = Heap(said, self.machine)
        except ValueError as error:
            raise MeasureError(str(error)) from None
        return free

    def watch(self) -> None:
        """Sample the heap from now on; `least` has the least that was free."""
        free = self.heap.free(self.machine)
        self.least = free if self.least is None else min(self.least, free)
        self.machine.after(_SAMPLE, self.watch)

    def pump(self, loopback: Loopback) -> None:
        """Hand on what servers on loopback send, from now on."""
        loopback.wait()
        self.machine.after(1, lambda: self.pump(loopback))

    def free(self) -> int:
        """Bytes of the heap that are free now."""
        return self.heap.free(self.machine)

    def _on_console(self, output: bytes) -> None:
        self.console += output.decode("utf-8", "replace")
        if self.wanted in self.console:
            self.machine.pause()


def measure(
    image: Path, microcoapy: Path | None, say: Callable[[str], None], details: bool = False
) -> dict:
    """The figures of the firmware, the smallest client and perhaps microCoAPy, by name and key.

    `details`: those over coaps too, whose arithmetic takes minutes here. Raises MeasureError.
    """
    run = Run(image, say)
    say("a board with nothing on it")
    found = {"free_at_prompt": run.calibrate()}
    say("a first power-up")
    found.update(_first(run))
    operations = run.machine.flash_chip.operations
    found["erases"] = sum(each.kind == "erase" for each in operations)
    found["programs"] = len(operations) - found["erases"]
    flash = run.machine.files
    say("a refusal")
    found["free_least_refusal"] = _refusal(run)
    if details:
        say("a first power-up over coaps, with a certificate in blocks")
        found["free_least_x509"] = _x509(run)
    say("a second power-up")
    found.update(_second(run, flash))
    say("the radio alone")
    found["ms_radio"] = _radio(run)
    for key in ("ms_credentials", "ms_to_join"):
        found[key + "_beyond"] = found[key] - found["ms_radio"]
    say("its imports")
    found["ms_importing"] = _importing(run)
    say("a Device at work")
    found.update(_device(run))
    for key in ("", "_refusal"):
        found[f"device_beyond{key}"] = found[f"free_least{key}"] - found["free_at_work"]
    cycles_a_ms = round(run.machine.frequency / 1000)
    measured = {"image": version_of(image), "cycles_a_ms": cycles_a_ms, "firstboot": found}
    say("the smallest client that is a correct one")
    measured[LEAST] = _least(run, found["ms_radio"])
    if microcoapy:
        say(MICROCOAPY)
        try:
            measured[MICROCOAPY] = _microcoapy(run, microcoapy)
        except MeasureError as error:
            say(f"{MICROCOAPY} is left out: {error}")
    return measured


def started(console: str) -> tuple[int, int]:
    """What APP printed: ms since reset, and bytes of the heap that were free."""
    ms, free = _STARTED.findall(console)[-1]
    return int(ms), int(free)


def _token_for(request: Message) -> bytes:
    """ThingsBoard's answer to a provision request, whatever its path."""
    payload = json.dumps(
        {"credentialsValue": "x" * 20, "credentialsType": "ACCESS_TOKEN", "status": "SUCCESS"},
        separators=(",", ":"),
    )
    reply = Message(ACK, _CREATED, request.message_id, request.token, payload=payload.encode())
    return encode(reply)


def _first(run: Run) -> dict[str, float]:
    run.power_up(_flash(APP))
    found = {"ms_first_line": run.until("firstboot 1")}
    run.watch()
    run.until("Wi-Fi: joining")
    found["free_joining"] = run.free()
    joined = run.until("Wi-Fi: joined")
    asking = run.until("asking coap")
    found["free_asking"] = run.free()
    found["ms_credentials"] = run.until("saved in /credentials.json")
    found["ms_to_join"] = joined
    found["ms_to_ask"] = asking - joined
    found["ms_to_save"] = found["ms_credentials"] - asking
    found["ms_exchange"] = found["ms_credentials"] - run.network.up[0][0]
    found["free_provisioned"] = run.free()
    run.until(">>> ")
    found["free_least"] = run.least
    _, found["free_application"] = started(run.console)
    return found


def _flash(app: bytes, files: dict[str, bytes] | None = None, **changes: object) -> bytes:
    """A flash with the firmware, this application, other files, and `changes` to config.json."""
    with tempfile.TemporaryDirectory() as folder:
        flash = Path(folder, "flash.img")
        put_firmware(flash, _config(**changes), app, files)
        return flash.read_bytes()


def _config(**changes: object) -> bytes:
    config = {
        "wifi": {"ssid": "home", "password": "correct horse"},
        "server": f"coap://{GATEWAY}",
        "provisioning": {
            "deviceName": "sensor-{id}",
            "provisionDeviceKey": _KEY,
            "provisionDeviceSecret": _SECRET,
        },
        **changes,
    }
    return json.dumps(config).encode()


def _refusal(run: Run) -> int:
    """The least heap that is free when the name is another's, which only a probe can tell."""
    run.endpoint.thingsboard.delete_device(_NAME)
    run.endpoint.thingsboard.add_device(_NAME, "another's")
    run.power_up(_flash(APP))
    run.watch()
    run.until("next try in")
    return run.least


def _x509(run: Run) -> int:
    """The least heap that is free over coaps, with a certificate that goes in blocks.

    mbedTLS takes what it needs from the same heap.
    """
    run.endpoint.thingsboard.delete_device(_NAME)
    server_ca = new_ca(**LONG)
    issued = issue([GATEWAY], server_ca, **LONG)
    names = [f"sensor-{number}.example.com" for number in range(_NAMES_OF_CERTIFICATE)]
    client = issue(names, **LONG)
    files = {"ca.der": server_ca.der, "own.der": client.der, "own.key": client.key_der}
    with (
        FakeThingsBoard(run.endpoint.thingsboard) as server,
        DTLSRelay(
            (server.host, server.port),
            issued.chain_pem,
            issued.key_pem,
            on_session=server.open_session,
        ) as relay,
        closing(Loopback(run.network)) as loopback,
    ):
        changes = {"ca": "ca.der", "certificate": "own.der", "key": "own.key"}
        run.power_up(_flash(APP, files, server=f"coaps://{GATEWAY}:{relay.port}", **changes))
        run.pump(loopback)
        run.watch()
        run.until("saved in /credentials.json")
        run.network.far_side = run
    return run.least


def _second(run: Run, files: bytes) -> dict[str, float]:
    run.power_up(files)
    run.until(">>> ")
    ms, free = started(run.console)
    return {
        "free_application_again": free,
        "ms_application_again": ms,
        "operations_again": len(run.machine.flash_chip.operations),
    }


def _credentials(name: str, token: str) -> dict[str, bytes]:
    """The file of a board that is provisioned."""
    credentials = {
        "server": f"coap://{GATEWAY}",
        "deviceName": name,
        "credentialsType": "ACCESS_TOKEN",
        "credentialsValue": token,
    }
    return {"credentials.json": json.dumps(credentials).encode()}


def _importing(run: Run) -> float:
    """What the imports of a first power-up take, in ms."""
    with bench() as there, Responder() as responder:
        files = PowerUps(there, responder, "mpy").loaded()
        names = in_order([".".join(file.with_suffix("").parts) for file in files], there.source)
    run.power_up(_flash(_IMPORTS.format(" ".join(names)).encode(), _credentials(_NAME, "x" * 20)))
    run.until(" us")
    return int(_IMPORTED.findall(run.console)[-1]) / 1000


def _device(run: Run) -> dict[str, float]:
    name, token = "sensor-at-work", "x" * 20
    run.endpoint.thingsboard.add_device(name, token)
    files = _credentials(name, token)
    run.power_up(_flash(_AT_WORK, files))
    run.until(" bytes")
    free, garbage = map(int, _LEAVES.findall(run.console)[-1])
    # Its first start is not like the others: it looks at config.json.
    run.power_up(_flash(_ON_BATTERY, files))
    run.until("sleep: ")
    network = run.network
    before = len(network.up) + len(network.down)
    run.power_up(run.machine.files)
    ms = run.until("sleep: ")
    datagrams = len(network.up) + len(network.down) - before
    return {
        "free_at_work": free,
        "device_garbage": garbage,
        "ms_awake": ms,
        "datagrams_awake": datagrams,
    }


_JOIN = b"""\
import network, time
print("begins")
wlan = network.WLAN(network.STA_IF)
wlan.active(True)
wlan.connect("home", "correct horse")
while not wlan.isconnected():
    time.sleep_ms(10)
print("joined")
"""
_PEER_MAIN = (
    _JOIN
    + b"""\
import micro_coapy
token = micro_coapy.connect(5683)()
print("token at", time.ticks_ms())
"""
)


def _least(run: Run, ms_radio: float) -> dict[str, float]:
    """What is possible: the smallest client's first power-up, and app.py with nothing before it."""
    with tempfile.TemporaryDirectory() as name:
        sources = [Path(each).with_suffix(".py") for each in LEAST_FILES]
        compiled = compile_to(SCRIPTS, sources, Path(name))
        files = {each: (compiled / each).read_bytes() for each in LEAST_FILES}
    files |= {"config.json": _config(), "app.py": APP}
    run.endpoint.thingsboard.delete_device(_NAME)
    before = len(run.network.up)
    run.power_up(_with_main(b"import least_power_up\n", files))
    run.watch()
    ms = run.until("saved in /credentials.json")
    found = {
        "free_provisioned": run.free(),
        "ms_credentials": ms,
        "ms_credentials_beyond": ms - ms_radio,
        "ms_exchange": ms - run.network.up[before][0],
    }
    run.until(">>> ")
    found["free_least"] = run.least
    _, found["free_application"] = started(run.console)
    operations = run.machine.flash_chip.operations
    found["erases"] = sum(each.kind == "erase" for each in operations)
    found["programs"] = len(operations) - found["erases"]
    run.power_up(_with_main(b"import app\n\napp.run(None)\n", {"app.py": APP}))
    run.until(">>> ")
    found["ms_application_again"], found["free_application_again"] = started(run.console)
    return found


def _radio(run: Run) -> float:
    run.power_up(_with_main(_JOIN))
    begins = run.until("begins")
    return run.until("joined") - begins


def _with_main(main: bytes, files: dict[str, bytes] | None = None) -> bytes:
    """A flash with nothing of the firmware."""
    with tempfile.TemporaryDirectory() as name:
        source = Path(name, "source")
        source.mkdir()
        (source / "main.py").write_bytes(main)
        flash = Path(name, "flash.img")
        put_on_flash(flash, "rp2", "micropython", None, None, source, files or {})
        return flash.read_bytes()


def _microcoapy(run: Run, folder: Path) -> dict[str, float]:
    files = {
        f"lib/microcoapy/{file.name}": file.read_bytes() for file in folder.glob("microcoapy/*.py")
    }
    script = (SCRIPTS / "micro_coapy.py").read_bytes().replace(b"127.0.0.1", GATEWAY.encode())
    files |= {"micro_coapy.py": script, "work.py": (SCRIPTS / "work.py").read_bytes()}
    run.takes_any_path = True
    before = len(run.network.up)
    run.power_up(_with_main(_PEER_MAIN, files))
    run.until("joined")
    run.watch()
    ms = run.until("token at")
    return {
        "ms_exchange": ms - run.network.up[before][0],
        "free_provisioned": run.free(),
        "free_least": run.least,
        "ms_credentials": ms,
        "erases": 0,
        "programs": len(run.machine.flash_chip.operations),
    }
