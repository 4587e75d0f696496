"""What people would use instead, measured on the same work."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from tools.measure import figures, process
from tools.measure.bench import (
    SCRIPTS,
    Bench,
    MeasureError,
    compile_to,
    has_valgrind,
    least_heap,
)
from tools.measure.broker import Broker
from tools.measure.responder import BODY_BYTES, FIELDS, Responder

MICROCOAPY = "microCoAPy"
MQTT_SDK = "ThingsBoard's MQTT SDK"
ADAPTED = "firstboot, its codec"
LEAST = "smallest, correct"
ON_THE_INDEX = ("aiocoap", "CoAPthon3")
_COAPTHON = ("CoAPthon3==1.0.2", "cachetools==8.0.1")
_PEER_SCRIPTS = SCRIPTS.parent / "peer_scripts"
_EXCHANGES = 50
_READINGS = 10
_TIME_OUT = 60  # seconds


def find(name: str) -> tuple[str, Path | None]:
    """A peer by its name or folder. Raises ValueError for what is none."""
    for known in ON_THE_INDEX:
        if name.lower() == known.lower():
            return known, None
    folder = Path(name).expanduser()
    if is_microcoapy(folder):
        return MICROCOAPY, folder
    if is_mqtt_sdk(folder):
        return MQTT_SDK, folder
    known = ", ".join(ON_THE_INDEX)
    raise ValueError(
        f"{name} is neither one of {known} nor a folder that holds microcoapy/, or thingsboard_sdk/"
        " and sdk_core/"
    )


def is_microcoapy(folder: Path) -> bool:
    """Whether a folder holds microCoAPy's package."""
    return (folder / "microcoapy" / "coap_packet.py").is_file()


def is_mqtt_sdk(folder: Path) -> bool:
    """Whether a folder holds ThingsBoard's MicroPython SDK, and what it has as a submodule."""
    files = ("thingsboard_sdk/tb_device_mqtt.py", "sdk_core/device_mqtt.py")
    return all((folder / file).is_file() for file in files)


def measure(bench: Bench, responder: Responder, peer: str, folder: Path | None) -> dict[str, float]:
    """A peer's figures. Raises MeasureError when it cannot be had."""
    if peer == MICROCOAPY:
        return _microcoapy(bench, responder, folder)
    if peer == MQTT_SDK:
        return _mqtt_sdk(bench)
    if peer == "aiocoap":
        found = _on_cpython(sys.executable, "aiocoap_client", responder)
        if process.HAS_TIMES:
            found["provision_cpu"] = process.aiocoap_client(responder)
        return found
    with tempfile.TemporaryDirectory(prefix="firstboot-peer-") as environment:
        return _on_cpython(_install(Path(environment), _COAPTHON), "coapthon_client", responder)


def adapted(bench: Bench, responder: Responder) -> dict[str, float]:
    """The figures of our exchange with microCoAPy as its codec."""
    found = figures.exchange(bench, responder, "adapted")
    if has_valgrind():
        found.update(figures.codec(bench, "codec_adapted"))
    return found


def bare(bench: Bench, responder: Responder) -> dict[str, float]:
    """The figures of a socket and json with no library."""
    return figures.exchange(bench, responder, "bare")


def least(bench: Bench, responder: Responder) -> dict[str, float]:
    """The figures of the smallest client that does this one thing correctly: what is possible.

    It looks for no mistake, explains nothing and proves nothing after a lost reply.
    """
    found = figures.exchange(bench, responder, "least")
    size = {name: (bench.scripts / name).stat().st_size for name in figures.LEAST_FILES}
    found["mpy_coap"] = size[figures.LEAST_FILES[0]]
    found["mpy_power_up"] = sum(size.values())
    for key, kind in (("heap_power_up_mpy", "esp32"), ("heap_pico_w", "rp2")):
        found[key] = figures.PowerUps(bench, responder, "least", kind).heap()
    return found


def _microcoapy(bench: Bench, responder: Responder, folder: Path) -> dict[str, float]:
    found = figures.exchange(bench, responder, "micro_coapy")
    with tempfile.TemporaryDirectory(prefix="firstboot-peer-") as compiled:
        files = [path.relative_to(folder) for path in sorted(folder.glob("microcoapy/*.py"))]
        compile_to(folder, files, Path(compiled))
        found["mpy_coap"] = sum(path.stat().st_size for path in Path(compiled).rglob("*.mpy"))
    if has_valgrind():
        found.update(figures.codec(bench, "codec_microcoapy"))
    return found


def _mqtt_sdk(bench: Bench) -> dict[str, float]:
    """What a Device's work takes of ThingsBoard's SDK. What it sends is not confirmed."""
    with Broker() as broker:
        options = {"done": "done", "failed": figures.NO_HEAP}
        heap = least_heap(
            lambda heap: bench.succeeds("mqtt_sdk", broker.port, "only", heap=heap, **options),
            figures.HIGHEST_HEAP,
        )
        broker.calls = False
        process = subprocess.Popen(
            bench.command("mqtt_sdk", broker.port, "plain"),
            cwd=bench.folder,
            env=bench.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        counts = []
        with process:
            for line in process.stdout:
                if line.strip() in ("connected", "sent"):
                    counts.append(broker.traffic())
                    print(file=process.stdin, flush=True)
        if len(counts) != 2:
            raise MeasureError("the SDK did not send its readings")
        broker.calls = True
        before, after = counts
        return {
            "device_heap_all": heap,
            "device_garbage": bench.run("mqtt_sdk", broker.port)["garbage"],
            "device_datagrams_once": (after.segments - before.segments) / _READINGS,
            "device_bytes": (after.bytes - before.bytes) / _READINGS,
        }


def _on_cpython(python: str, script: str, responder: Responder) -> dict[str, float]:
    body = json.dumps(FIELDS, separators=(",", ":"))
    responder.last()
    command = [python, str(_PEER_SCRIPTS / f"{script}.py"), str(responder.port), body]
    try:
        done = subprocess.run(
            [*command, str(_EXCHANGES)], capture_output=True, text=True, timeout=_TIME_OUT
        )
    except subprocess.TimeoutExpired:
        raise MeasureError(f"{script}: not done in {_TIME_OUT} s") from None
    if done.returncode:
        raise MeasureError(f"{script}: {done.stderr.strip().splitlines()[-1]}")
    wire = responder.last()
    return {
        "overhead": wire.bytes_up // _EXCHANGES - BODY_BYTES,
        "bytes_up": wire.bytes_up // _EXCHANGES,
        "bytes_down": wire.bytes_down // _EXCHANGES,
        "datagrams": wire.datagrams // _EXCHANGES,
        "time_us": statistics.median(json.loads(done.stdout)["us"]),
    }


def _install(environment: Path, packages: tuple[str, ...]) -> str:
    """Make an environment with packages of the index; gives its Python."""
    venv.create(environment, with_pip=True)
    python = str(environment / ("Scripts" if sys.platform == "win32" else "bin") / "python")
    pip = [python, "-m", "pip", "--disable-pip-version-check", "--no-cache-dir"]
    pip += ["install", "--no-deps", *packages]
    done = subprocess.run(pip, capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()[-1]
        raise MeasureError(f"{packages[0]} cannot be installed: {said}")
    return python
