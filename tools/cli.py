"""The verbs of `python3 -m tools`: thin, and what does the work is imported where it is used."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from enum import Enum
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from tools.flash import verbs
from tools.flash.verbs import existing_file
from tools.set_up import ROOT

PROVISIONED, FAILED, WRONG_USAGE, REFUSED, TIME_RAN_OUT, BAD_CONFIGURATION = range(6)

_POWER_UP_CODES = """\b
Exit codes:
  0  provisioned
  1  any other failure
  2  wrong usage
  3  ThingsBoard refused
  4  the time ran out
  5  bad configuration"""
_PLAIN_CODES = """\b
Exit codes:
  0  done
  1  failed
  2  wrong usage"""

app = typer.Typer(
    add_completion=False,
    help="firstboot: boards that provision themselves with ThingsBoard on their first power-up.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


class Runtime(str, Enum):
    micropython = "micropython"
    cpython = "cpython"


class BoardKind(str, Enum):
    esp32 = "esp32"
    rp2 = "rp2"


class Strategy(str, Enum):
    create = "create"
    preprovisioned = "preprovisioned"


def main() -> NoReturn:
    """Run the verb that the command line names, and exit with its code."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")
    app(prog_name="python3 -m tools")


def _say(text: str) -> None:
    typer.echo(text, err=True)


def _end(text: str, code: int) -> NoReturn:
    _say(text)
    raise typer.Exit(code)


@app.command(epilog=_PLAIN_CODES)
def demo(
    coaps: Annotated[bool, typer.Option("--coaps", help="Show it over DTLS.")] = False,
) -> None:
    """Show a board's first power-up and its second.

    A virtual board provisions itself with a ThingsBoard to test with. Then it is powered up again,
    and sends nothing. It needs no board and no account.

    Example: python3 -m tools demo
    """
    from tools.demo import demo

    raise typer.Exit(demo(coaps))


@app.command(
    epilog="Exit codes: pytest's. 0 is all passed, 1 is that some failed.",
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    options_metavar="[PYTEST OPTIONS]",
)
def test(context: typer.Context) -> None:
    """Run the tests.

    Every argument goes to pytest, which runs in the project's folder. Without any, the whole
    suite runs in two processes.

    Example: python3 -m tools test -x -k provisioning
    """
    import pytest

    os.chdir(ROOT)
    raise typer.Exit(pytest.main(context.args or ["-n", "2", "--dist", "worksteal"]))


@app.command(epilog=_PLAIN_CODES)
def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            help="The UDP port; 0: a free one. 5683 unless named, 5684 with --coaps.",
            show_default=False,
        ),
    ] = None,
    strategy: Annotated[
        Strategy, typer.Option(help="The device profile's provision strategy.")
    ] = Strategy.create,
    key: Annotated[str, typer.Option(help="The profile's provisionDeviceKey.")] = "demo-key",
    secret: Annotated[
        str, typer.Option(help="The profile's provisionDeviceSecret.")
    ] = "demo-secret",
    device: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A device that is there already; as often as needed."),
    ] = None,
    delay: Annotated[
        float, typer.Option(min=0, help="Seconds before each reply; above 0.5 it comes separately.")
    ] = 0.0,
    coaps: Annotated[
        bool, typer.Option("--coaps", help="Speak CoAP over DTLS, with --cert or --new-ca.")
    ] = False,
    cert: Annotated[
        Path | None,
        typer.Option(
            help="The certificate in PEM, with those above it in the same file.",
            show_default=False,
        ),
    ] = None,
    cert_key: Annotated[
        Path | None, typer.Option(help="Its private key in PEM.", show_default=False)
    ] = None,
    new_ca: Annotated[
        Path | None,
        typer.Option(
            help="In place of --cert: make a CA and a certificate for --host, and write the CA's"
            " certificate to this file, for `ca` in config.json.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Be a ThingsBoard to test with, until Ctrl-C.

    It speaks CoAP over UDP and prints a line for each datagram, with --coaps for each that was
    inside DTLS.

    Example: python3 -m tools serve --strategy preprovisioned --device sensor-1
    """
    import threading

    from tools.fake_thingsboard.model import ThingsBoard
    from tools.fake_thingsboard.server import FakeThingsBoard

    thingsboard = ThingsBoard(key=key, secret=secret, strategy=strategy.value)
    try:
        for name in device or ():
            thingsboard.add_device(name)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--device") from None
    if port is None:
        port = 5684 if coaps else 5683
    credentials = _certificate(host, coaps, cert, cert_key, new_ca)
    # Behind DTLS it listens on a port of its own, on this computer only.
    inside = {"host": "127.0.0.1", "port": 0} if coaps else {"host": host, "port": port}
    server = FakeThingsBoard(thingsboard, **inside, delay=delay, log=typer.echo)
    try:
        with contextlib.ExitStack() as stack:
            stack.enter_context(server)
            if coaps:
                server = stack.enter_context(_relay(server, credentials, host, port))
            typer.echo(f"ThingsBoard to test with: {server.uri} (Ctrl-C ends it)")
            threading.Event().wait()
    except OSError as error:
        _end(
            f"Cannot listen on {host} port {port}: {error.strerror or error}. "
            "End what listens there, or name another --port.",
            FAILED,
        )


@app.command("power-up", epilog=_POWER_UP_CODES)
def power_up(
    flash: Annotated[
        Path,
        typer.Option(help="The board's flash: an image for micropython, a folder for cpython."),
    ],
    config: Annotated[
        Path | None, typer.Option(help="The config.json of a new flash.", show_default=False)
    ] = None,
    runtime: Annotated[
        Runtime | None,
        typer.Option(
            help="What plays the board: what FLASH is for, else micropython where there is one.",
            show_default=False,
        ),
    ] = None,
    board: Annotated[BoardKind, typer.Option(help="The board to play.")] = BoardKind.esp32,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds until power is cut.")] = 120,
    set_up_only: Annotated[
        bool, typer.Option("--set-up-only", help="Make the new flash and stop.")
    ] = False,
    stay: Annotated[
        bool, typer.Option("--stay", help="Run app.py, and go on when ThingsBoard refuses.")
    ] = False,
    app_file: Annotated[
        Path | None, typer.Option("--app", help="The app.py of a new flash.", show_default=False)
    ] = None,
    scenario_file: Annotated[
        Path | None,
        typer.Option(
            "--scenario", help="A JSON file: what surrounds the board.", show_default=False
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the outcome as JSON; the console goes to stderr.")
    ] = False,
) -> None:
    """Power up a virtual board and show its console.

    A FLASH that is not there yet is made, with the firmware, config.json and the certificates that
    it names on it. Power it up
    again with the same FLASH: the board remembers.

    Example: python3 -m tools power-up --config config.json --flash board.img
    """
    from tools.virtual_board.board import VirtualBoard
    from tools.virtual_board.flash import FlashError, check_flash, files_named_in, put_on_flash
    from tools.virtual_board.scenario import Scenario, ScenarioError

    played_by = (runtime or _runtime_for(flash)).value
    try:
        scenario = (
            Scenario.load(existing_file(scenario_file, "--scenario")) if scenario_file else None
        )
        if flash.exists():
            check_flash(flash, board.value, played_by)
            if set_up_only or config or app_file:
                _say(f"{flash} is there already: used as it is, nothing was put on it")
        else:
            if config is None:
                raise typer.BadParameter(
                    f"{flash} is a new flash: name the config.json to put on it",
                    param_hint="--config",
                )
            app_py = existing_file(app_file, "--app") if app_file else None
            put_on_flash(
                flash,
                board.value,
                played_by,
                existing_file(config, "--config"),
                app_py,
                files=files_named_in(config),
            )
            if set_up_only:
                _say(f"{flash} is made: the same command without --set-up-only powers it up")
        if set_up_only:
            return
        virtual_board = VirtualBoard(
            flash, board.value, played_by, scenario, on_line=_say if as_json else typer.echo
        )
    except FlashError as error:
        raise typer.BadParameter(str(error), param_hint="--flash") from None
    except ScenarioError as error:
        raise typer.BadParameter(str(error), param_hint="--scenario") from None
    except (RuntimeError, OSError) as error:
        _end(str(error), FAILED)
    try:
        outcome = virtual_board.power_up(timeout=timeout, stay=stay)
    except FlashError as error:
        _end(str(error), FAILED)
    if outcome.exit_code == TIME_RAN_OUT:
        _say(f"not provisioned after {timeout:g} s: the power was cut")
    if as_json:
        fields = ("exit_code", "ended", "lines")
        typer.echo(json.dumps({field: getattr(outcome, field) for field in fields}))
    raise typer.Exit(outcome.exit_code)


@app.command(epilog=_PLAIN_CODES)
def board(
    flash: Annotated[Path, typer.Option(help="The board's flash, an image; made when new.")],
    link: Annotated[Path, typer.Option(help="The serial port to be, for example /tmp/board.")],
    kind: Annotated[
        BoardKind, typer.Option("--board", help="The board to play.")
    ] = BoardKind.esp32,
    unique_id: Annotated[
        str | None,
        typer.Option("--id", metavar="HEX", help="machine.unique_id(); without it, FLASH's own."),
    ] = None,
) -> None:
    """Be a board at a serial port, until Ctrl-C.

    mpremote, and any other tool for MicroPython, connects to LINK as to a real board's port.

    Example: python3 -m tools board --flash board.img --link /tmp/board
    """
    from tools.board import board
    from tools.virtual_board.errors import FlashError

    try:
        board(flash, link, kind.value, unique_id, _say)
    except FlashError as error:
        raise typer.BadParameter(str(error), param_hint="--flash") from None
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--id") from None
    except (RuntimeError, OSError) as error:
        _end(str(error), FAILED)
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


@app.command(epilog=_PLAIN_CODES)
def read(
    path: Annotated[str, typer.Argument(help="The file, for example /credentials.json.")],
    flash: Annotated[Path, typer.Option(help="The flash of a virtual board.")],
) -> None:
    """Print a file of a virtual board's flash.

    Exit code 1 says that it is not there.

    Example: python3 -m tools read --flash board.img /credentials.json
    """
    from tools.virtual_board.flash import FlashError, NotOnFlash, read_file

    try:
        content = read_file(flash, path)
    except NotOnFlash as error:
        _end(str(error), FAILED)
    except FlashError as error:
        raise typer.BadParameter(str(error), param_hint="--flash") from None
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


@app.command(epilog=_POWER_UP_CODES)
def provision(
    server: Annotated[str, typer.Option(metavar="URI", help="coap://host or coap://host:port")],
    key: Annotated[str, typer.Option(help="The device profile's provisionDeviceKey.")],
    secret: Annotated[str, typer.Option(help="The device profile's provisionDeviceSecret.")],
    name: Annotated[
        str | None,
        typer.Option(help="deviceName; without it ThingsBoard chooses one.", show_default=False),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print code, payload and explanation as JSON.")
    ] = False,
) -> None:
    """Provision a device from this computer.

    The client is the one that boards use. The response payload is printed whole, credentials and
    all.

    Example: python3 -m tools provision --server coap://localhost --key K --secret S --name sensor-1
    """
    from tools.provision import provision

    result = provision(server, key, secret, name)
    if as_json:
        typer.echo(json.dumps(result._asdict()))
    elif result.payload:
        typer.echo(result.payload)
    if result.explanation:
        _say(result.explanation)
    raise typer.Exit(result.exit_code)


@app.command(epilog=_PLAIN_CODES)
def measure(
    peer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PEER",
            help="Measure this, too: aiocoap, CoAPthon3, or a folder that holds microCoAPy.",
        ),
    ] = None,
    details: Annotated[
        bool,
        typer.Option("--details", help="Measure each module, and how heap and time grow, too."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="SVG", help="Draw the figures into a file.", show_default=False),
    ] = None,
    record: Annotated[
        bool, typer.Option("--record", help="Make these figures the budgets, and README's table.")
    ] = False,
    micropython: Annotated[
        Path | None,
        typer.Option(
            metavar="COMMAND",
            help="Measure on this MicroPython, such as one of 32 bits, as boards have.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Measure how small and how fast the firmware is.

    Bytes, heap and instructions on the MicroPython that the tests use; instructions need valgrind.

    Example: python3 -m tools measure --peer aiocoap --plot measured.svg
    """
    from tools.measure import peers
    from tools.measure.bench import MeasureError
    from tools.measure.command import run

    try:
        found = [peers.find(name) for name in peer or []]
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--peer") from None
    if plot and not plot.absolute().parent.is_dir():
        raise typer.BadParameter(f"there is no folder {plot.parent}", param_hint="--plot")
    if micropython and record:
        raise typer.BadParameter(
            "budgets are those of the tests' MicroPython", param_hint="--record"
        )
    if micropython:
        micropython = existing_file(micropython, "--micropython").absolute()
    try:
        run(found, details, as_json, plot, record, micropython)
    except MeasureError as error:
        _end(str(error), FAILED)


@app.command(epilog=_PLAIN_CODES)
def storm(
    boards: Annotated[
        int | None,
        typer.Option(min=1, help="How many boards: 10,000, or 100 real ones.", show_default=False),
    ] = None,
    rate_limit: Annotated[
        int, typer.Option(min=1, help="Datagrams a second that the server handles.")
    ] = 500,
    outage: Annotated[float, typer.Option(min=0, help="Seconds until the server is up.")] = 0.0,
    loss: Annotated[
        float, typer.Option(min=0, max=0.9, help="The share of datagrams lost each way.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="Repeats a storm exactly.")] = 1,
    real: Annotated[
        bool,
        typer.Option("--real", help="Virtual boards over loopback, 300 at most; no weather."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Let power return to a whole building.

    All boards provision at once, with the code that boards run, in virtual time: how long until
    they all are, what the server has to bear, and what it would be without jitter.

    Example: python3 -m tools storm --boards 2000 --rate-limit 100 --outage 60
    """
    from tools.storm import Weather
    from tools.storm_report import storm, storm_for_real

    if real:
        if boards and boards > 300:
            raise typer.BadParameter("300 at the most with --real", param_hint="--boards")
        raise typer.Exit(storm_for_real(boards or 100))
    raise typer.Exit(storm(Weather(boards or 10_000, rate_limit, outage, loss, seed), as_json))


def _certificate(host, coaps, cert, cert_key, new_ca) -> tuple[bytes, bytes] | None:
    """The certificate and its key, in PEM, that serve's options name or ask for."""
    if not coaps:
        if cert or cert_key or new_ca:
            raise typer.BadParameter("this is for DTLS", param_hint="--coaps")
        return None
    if cert and cert_key and not new_ca:
        return (
            existing_file(cert, "--cert").read_bytes(),
            existing_file(cert_key, "--cert-key").read_bytes(),
        )
    if not new_ca or cert or cert_key:
        raise typer.BadParameter(
            "name --cert and --cert-key, or --new-ca alone", param_hint="--coaps"
        )
    from tools.fake_thingsboard import certificates

    ca = certificates.new_ca()
    issued = certificates.issue(sorted({host, "localhost", "127.0.0.1"}), ca)
    new_ca.write_bytes(ca.pem)
    return issued.chain_pem, issued.key_pem


def _relay(server, credentials, host, port):
    from tools.fake_thingsboard.dtls import DTLSRelay

    try:
        return DTLSRelay((server.host, server.port), *credentials, host, port, log=typer.echo)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--cert") from None


for _verb in (verbs.flash, verbs.doctor, verbs.reset):
    app.command(epilog=verbs.CODES)(_verb)


def _runtime_for(flash: Path) -> Runtime:
    from tools.virtual_board.interpreter import find_micropython

    if flash.exists():
        return Runtime.cpython if flash.is_dir() else Runtime.micropython
    micropython = find_micropython()
    if micropython.command:
        return Runtime.micropython
    _say(f"the board runs on CPython: {micropython.why}")
    return Runtime.cpython
