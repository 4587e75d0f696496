"""The verb `bundle`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from tools.verbs.shared import (
    PLAIN_CODES,
    BoardKind,
    end,
    existing_file,
    explained,
    new_verb,
)

verb = new_verb()


@verb.command(epilog=PLAIN_CODES)
def bundle(
    app: Annotated[
        Path | None,
        typer.Option(help="The application: app.py, or a folder that has one.", show_default=False),
    ] = None,
    firmware: Annotated[
        bool, typer.Option("--firmware", help="Bring the firmware of this version, too.")
    ] = False,
    title: Annotated[str, typer.Option(help="As in ThingsBoard.", show_default=False)] = "",
    version: Annotated[str, typer.Option(help="As in ThingsBoard.", show_default=False)] = "",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The bundle; TITLE-VERSION.bundle unless named.",
            show_default=False,
        ),
    ] = None,
    sign: Annotated[
        Path | None,
        typer.Option(metavar="KEY", help="Sign it with this RSA key, in PEM.", show_default=False),
    ] = None,
    source: Annotated[
        bool, typer.Option("--source", help="Bring .py files, not compiled ones.")
    ] = False,
    board: Annotated[
        list[BoardKind] | None,
        typer.Option("--board", help="For these only, as often as needed.", show_default=False),
    ] = None,
    micropython: Annotated[str, typer.Option(help="The oldest MicroPython that will do.")] = "1.23",
    config: Annotated[
        Path | None,
        typer.Option(
            help="The boards' config.json: its `update.key` checks the signature; with --firmware"
            " only what they use is brought.",
            show_default=False,
        ),
    ] = None,
    show: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="List a bundle, and check all of it.", show_default=False
        ),
    ] = None,
    new_key: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Make a key to sign with, and print what config.json has of it.",
            show_default=False,
        ),
    ] = None,
    public: Annotated[
        Path | None,
        typer.Option(
            metavar="KEY",
            help="Print what config.json has of a private RSA key in PEM that you have.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what it is as JSON.")] = False,
) -> None:
    """Make the file that boards take over the air.

    It has your application in it, and the firmware if asked. Modules are compiled, and app.py is
    looked at as `flash` does. The same files give the same bundle, byte for byte.

    Example: python3 -m tools bundle --app app.py --title my-app --version 1.2.0

    With --sign key.pem, of a key that --new-key key.pem made, boards take nothing from anybody
    else.
    """
    wanted = [each for each in (app, show, new_key, public) if each is not None]
    if len(wanted) != 1:
        what = "give one of --app, --show, --new-key and --public"
        raise typer.BadParameter(what, param_hint="bundle")
    try:
        if new_key:
            _new_key(new_key, as_json)
        elif public:
            _print_public(_key(public, "--public"), {}, as_json)
        elif show:
            _show(show, config, as_json)
        else:
            _make(
                app,
                firmware,
                title,
                version,
                output,
                sign,
                source,
                board,
                micropython,
                config,
                as_json,
            )
    except OSError as error:
        end(explained(error))


def _make(
    app, firmware, title, version, output, sign, source, board, micropython, config, as_json
) -> None:
    from tools.bundle import command, keys
    from tools.bundle.format import BundleError, read
    from tools.flash.content import ConfigError, check_config
    from tools.mpy import CompileError

    if not app.exists():
        raise typer.BadParameter(f"there is no {app}", param_hint="--app")
    for name, text in (("--title", title), ("--version", version)):
        if not text:
            raise typer.BadParameter("a bundle has one, as ThingsBoard has it", param_hint=name)
    output = output or Path(re.sub(r"[^\w.+-]", "_", f"{title}-{version}") + ".bundle")
    if output.is_dir():
        raise typer.BadParameter(f"{output} is a folder", param_hint="--output")
    if not output.absolute().parent.is_dir():
        raise typer.BadParameter(f"there is no folder {output.parent}", param_hint="--output")
    key = _key(sign, "--sign")
    boards_config = existing_file(config, "--config").read_bytes() if config else None
    try:
        if boards_config is not None:
            check_config(boards_config, name=config)
        data = command.make(
            app,
            boards_config,
            firmware,
            source,
            title,
            version,
            tuple(kind.value for kind in board or ()),
            micropython,
            keys.signer(key) if key else None,
        )
        found = read(data)
        signature, is_good = _judged(found, _known_key(config), config is not None)
        if not is_good:
            end(f"{output} is not made: {signature}")
        command.write(output, data)
    except CompileError as error:
        raise typer.BadParameter(str(error), param_hint="--app") from None
    except (BundleError, ConfigError) as error:
        end(str(error))
    if config is None and key:
        signature = f"signed with {sign}"
    facts = command.facts(output, data, found, signature, boards_config)
    command.show(facts, as_json, command.how_to_upload(facts))


def _show(path, config, as_json) -> None:
    from tools.bundle import command
    from tools.bundle.format import BundleError, read

    data = existing_file(path, "--show").read_bytes()
    try:
        found = read(data)
    except BundleError as error:
        end(f"{path}: {error}")
    known = _known_key(config)
    signature, is_good = _judged(found, known, config is not None)
    boards_config = config.read_bytes() if config else None
    command.show(command.facts(path, data, found, signature, boards_config), as_json, [])
    if not is_good:
        end(f"{path}: {signature}")


def _judged(found, known: str | None, has_config: bool) -> tuple[str, bool]:
    """What a bundle's signature is worth to boards that know this key."""
    from tools.bundle.keys import KeyFileError, is_signed_by

    if found.signature is None:
        if known is None:
            return "not signed: boards with `update.key` in config.json refuse it", True
        return "not signed, and boards with that `update.key` refuse it", False
    if known is None:
        if has_config:
            return "signed; boards with that config.json look at no signature", True
        return "signed; --config says by whom it should be", True
    try:
        is_good = is_signed_by(known, found.signed, found.signature)
    except KeyFileError as error:
        raise typer.BadParameter(str(error), param_hint="--config") from None
    if is_good:
        return "signed with the key that `update.key` names", True
    return "signed with another key than `update.key` names", False


def _known_key(config: Path | None) -> str | None:
    if config is None:
        return None
    import json

    try:
        given = json.loads(existing_file(config, "--config").read_text(encoding="utf-8-sig"))
        return (given.get("update") or {}).get("key")
    except (ValueError, AttributeError):
        raise typer.BadParameter(
            f"{config} is no JSON object with an object `update`", param_hint="--config"
        ) from None


def _new_key(path, as_json) -> None:
    from tools.bundle import keys

    try:
        key = keys.new_key(path)
    except keys.KeyFileError as error:
        raise typer.BadParameter(str(error), param_hint="--new-key") from None
    if not as_json:
        typer.echo(
            f"{path} is written; only you can read it. Keep a copy: boards take no other key."
        )
    _print_public(key, {"file": str(path)}, as_json)


def _print_public(key, facts: dict[str, str], as_json: bool) -> None:
    """Print what config.json has of a key; with `facts` as JSON."""
    import json

    from tools.bundle.keys import modulus

    known = {"key": modulus(key)}
    if as_json:
        typer.echo(json.dumps({**facts, "update": known}))
        return
    typer.echo("In the boards' config.json:")
    typer.echo(f'  "update": {json.dumps(known)}')


def _key(path: Path | None, option: str):
    if path is None:
        return None
    from tools.bundle.keys import KeyFileError, load_key

    try:
        return load_key(existing_file(path, option))
    except KeyFileError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None
