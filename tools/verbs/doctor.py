"""The verb `doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tools.verbs.shared import BOARD_CODES, Port, end, existing_file, new_verb

verb = new_verb()


@verb.command(epilog=BOARD_CODES)
def doctor(
    config: Annotated[Path, typer.Option(help="The config.json to look at.")] = Path("config.json"),
    port: Port = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Find out why a board does not provision.

    Looks at config.json, the server and its certificates; with --port also at the board and what
    it hears and reaches, which takes three minutes at the most.

    Example: python3 -m tools doctor --config config.json
    """
    from tools.flash.doctor import examine
    from tools.flash.errors import FlashingError

    try:
        code = examine(existing_file(config, "--config"), port, as_json)
    except FlashingError as error:
        end(str(error), error.exit_code)
    raise typer.Exit(code)
