"""The verb `power-up`."""

from __future__ import annotations

import json
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from tools.set_up import add
from tools.verbs.shared import (
    POWER_UP_CODES,
    BoardKind,
    Image,
    Kind,
    ScenarioFile,
    application,
    end,
    existing_file,
    explained,
    finite,
    new_verb,
    say,
    scenario_in,
)

TIME_RAN_OUT = 4

verb = new_verb()


class Runtime(str, Enum):
    micropython = "micropython"
    cpython = "cpython"
    pico_w = "pico-w"


@verb.command("power-up", epilog=POWER_UP_CODES)
def power_up(
    flash: Annotated[
        Path,
        typer.Option(
            help="The board's flash: an image for micropython and pico-w, a folder for cpython."
        ),
    ],
    config: Annotated[
        Path | None, typer.Option(help="The config.json of a new flash.", show_default=False)
    ] = None,
    runtime: Annotated[
        Runtime | None,
        typer.Option(
            help="What plays the board: what FLASH is for, else micropython where there is one."
            " pico-w is the real image in an emulator.",
            show_default=False,
        ),
    ] = None,
    board: Kind = BoardKind.esp32,
    image: Image = None,
    timeout: Annotated[
        float,
        typer.Option(
            min=0,
            callback=finite,
            help="Seconds until power is cut; for pico-w, of its own time.",
        ),
    ] = 120,
    set_up_only: Annotated[
        bool, typer.Option("--set-up-only", help="Make the new flash and stop.")
    ] = False,
    stay: Annotated[
        bool, typer.Option("--stay", help="Run app.py, and go on when ThingsBoard refuses.")
    ] = False,
    app_file: Annotated[
        Path | None, typer.Option("--app", help="The app.py to put on it.", show_default=False)
    ] = None,
    scenario_file: ScenarioFile = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the outcome as JSON; the console goes to stderr.")
    ] = False,
) -> None:
    """Power up a virtual board and show its console.

    A FLASH that is not there yet is made, with the firmware, config.json and the certificates that
    it names on it. Power it up again with the same FLASH: the board remembers.

    For pico-w, which shares its flash with --board rp2, this computer is 10.0.0.1: every name
    leads there, and nothing else is reached.

    A scenario is a JSON object: `networks`, each with `ssid`, `password`, `delay_ms`,
    `appears_after_ms`, `drops` and `dhcp`; `silent_until` (join, cycle or reset): joined, but
    nothing gets through until then; `wedged` (raises or joining): the radio will not join until
    `wedged_until` (cycle or reset); `recv_fails`, a list of [from ms, to ms, error number]: on an
    ESP32 its sockets are ready, and recv raises; and more: tools/virtual_board/scenario.py has
    every key.

    Example: python3 -m tools power-up --config config.json --flash board.img
    """
    from tools.virtual_board.errors import FlashError

    runtime = runtime or _runtime_for(flash)
    is_pico_w = runtime is Runtime.pico_w
    kind = "rp2" if is_pico_w else board.value
    if image and not is_pico_w:
        raise typer.BadParameter("it is for --runtime pico-w", param_hint="--image")
    scenario = scenario_in(scenario_file, is_pico_w)
    if is_pico_w:
        add("rp2040py")
    on_line = say if as_json else typer.echo
    app = application(app_file)
    try:
        if is_pico_w and not set_up_only:
            from tools.pico_w.image import find_image

            image = find_image(image, say)
        _prepare(flash, kind, runtime, config, app, set_up_only)
        if set_up_only:
            return
        if is_pico_w:
            from tools.pico_w.board import PicoW

            played = PicoW(flash, image, on_line)
        else:
            from tools.virtual_board.board import VirtualBoard

            played = VirtualBoard(flash, kind, runtime.value, scenario, on_line)
            played.ports.say = say
    except FlashError as error:
        raise typer.BadParameter(str(error), param_hint="--flash") from None
    except (RuntimeError, OSError) as error:
        end(explained(error))
    try:
        outcome = played.power_up(timeout=timeout, stay=stay)
    except FlashError as error:
        end(str(error))
    if outcome.exit_code == TIME_RAN_OUT:
        say(f"not provisioned after {timeout:g} s: the power was cut")
    if app and not stay and outcome.exit_code == 0:
        say("the power was cut where app.py begins: --stay lets it run")
    if is_pico_w:
        say(f"{played.board_s:.3f} s of emulated board time, {played.cycles:,.0f} cycles")
    if as_json:
        fields = ("exit_code", "ended", "lines")
        typer.echo(json.dumps({field: getattr(outcome, field) for field in fields}))
    raise typer.Exit(outcome.exit_code)


def _prepare(flash, kind, runtime, config, app, set_up_only) -> None:
    """Make the flash if there is none yet. Raises FlashError, RuntimeError, OSError."""
    from tools.virtual_board.flash import check_flash, files_named_in, put_file, put_on_flash

    is_pico_w = runtime is Runtime.pico_w
    flash_of = "micropython" if is_pico_w else runtime.value
    if flash.exists():
        check_flash(flash, kind, flash_of)
        if app:
            put_file(flash, "app.py", app)
        if set_up_only or config:
            what = "but for app.py" if app else "nothing was put on it"
            say(f"{flash} is there already: used as it is, {what}")
        return
    if config is None:
        raise typer.BadParameter(
            f"{flash} is a new flash: name the config.json to put on it", param_hint="--config"
        )
    content = existing_file(config, "--config").read_bytes()
    files = files_named_in(config)
    if is_pico_w:
        from tools.pico_w.flash_file import put_firmware

        put_firmware(flash, content, app, files)
    else:
        put_on_flash(flash, kind, flash_of, content, app, files=files)
    if set_up_only:
        say(f"{flash} is made: the same command without --set-up-only powers it up")


def _runtime_for(flash: Path) -> Runtime:
    from tools.virtual_board.interpreter import find_micropython

    if flash.exists():
        return Runtime.cpython if flash.is_dir() else Runtime.micropython
    micropython = find_micropython()
    if micropython.command:
        return Runtime.micropython
    say(f"the board runs on CPython: {micropython.why}")
    return Runtime.cpython
