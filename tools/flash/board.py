"""Flash one board: check it, bring its files up to date, start it, follow its console."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from tools.flash import content, facts, install, romfs, slots
from tools.flash.errors import (
    APP_FAILED,
    BAD_CONFIGURATION,
    FAILED,
    NO_MICROPYTHON,
    PROVISIONED,
    PROVISIONED_AS_ANOTHER,
    REFUSED,
    TIME_RAN_OUT,
    FlashingError,
    sentences,
)
from tools.flash.follow import Outcome, follow
from tools.flash.label import label_of
from tools.flash.link import PROMPT, Link
from tools.flash.plan import APP, CONFIG, MAIN, is_module, make_plan

NOT_BEGUN, BROKEN_OFF = "not begun", "broken off"
RESULTS = {
    PROVISIONED: "provisioned",
    FAILED: "failed",
    REFUSED: "refused",
    TIME_RAN_OUT: "time ran out",
    BAD_CONFIGURATION: "bad configuration",
    NO_MICROPYTHON: "no MicroPython",
    PROVISIONED_AS_ANOTHER: "provisioned as another",
    APP_FAILED: "app.py raised",
}


@dataclass(frozen=True)
class Job:
    """What to do with each board.

    `rows`: what the CSV says, by board id; None without one. `done`: the `content` of the boards
    that are provisioned, by board id. `app_runs_for`: seconds that app.py has to go on without
    raising. `for_slots`: what of the firmware a board has beside, when it has slots. `to_root`:
    the slots go, and the root is flashed, as on a board without.
    """

    config: bytes
    firmware: dict[str, bytes]
    app: bytes | None = None
    rows: dict[str, dict[str, str]] | None = None
    as_source: bool = False
    start: bool = True
    restore_secret: bool = False
    timeout: float = 120.0
    app_runs_for: float = 2.0
    config_name: str = "config.json"
    for_slots: Mapping[str, bytes] = field(default_factory=dict)
    to_root: bool = False
    done: Mapping[str, str] = field(default_factory=dict)

    def content(self, board_id: str) -> str:
        """A digest of all that is put on a board."""
        digest = hashlib.sha256(self.config)
        for path, file in sorted(self.firmware.items()):
            digest.update(path.encode() + hashlib.sha256(file).digest())
        digest.update(repr((self.app, (self.rows or {}).get(board_id))).encode())
        return digest.hexdigest()[:16]


@dataclass
class Result:
    """How it went with one board; `detail` says what to do.

    `network` and `password`: of the access point that its label is to name, if it has one.
    """

    port: str
    id: str = ""
    name: str = ""
    result: str = ""
    seconds: float = 0.0
    exit_code: int = FAILED
    detail: str = ""
    network: str = ""
    password: str = ""
    content: str = ""

    def fields(self) -> dict:
        return {name: value for name, value in asdict(self).items() if name != "content"}


class Progress:
    """Hears how it goes with one board; this one keeps quiet."""

    def on_step(self, text: str) -> None:
        """A step begins."""

    def on_warning(self, text: str) -> None:
        """Something about the board had better be mended."""

    def on_total(self, size: int) -> None:
        """So many bytes are to be written."""

    def on_bytes(self, size: int) -> None:
        """So many more are."""

    def on_line(self, line: str) -> None:
        """The board's console has a line."""


def flash(port: str, job: Job, progress: Progress, result: Result | None = None) -> Result:
    """Flash one board and follow it. Never raises for what is wrong with the board.

    `result`: what is filled in, as it becomes known.
    """
    result = result or Result(port)
    began = time.monotonic()
    try:
        with Link(port) as link:
            _flash(link, job, progress, result)
    except FlashingError as error:
        result.exit_code, result.detail = error.exit_code, str(error)
        result.result = RESULTS[error.exit_code]
    result.seconds = round(time.monotonic() - began, 1)
    return result


def _flash(link: Link, job: Job, progress: Progress, result: Result) -> None:
    progress.on_step("looking at the board")
    board = facts.ask(link)
    result.id = board.id
    row = (job.rows or {}).get(board.id)
    if job.rows is not None and row is None:
        _skip(link, result, f"{board.id} is not in the CSV")
        return
    result.content = job.content(board.id)
    if job.done.get(board.id) == result.content:
        config = content.config_for(job.config, board.id, row, name=job.config_name)
        result.name = content.identity(config, board.id)[0]
        _skip(link, result, "the results file says that it is provisioned")
        return
    facts.check(board, job.as_source)
    progress.on_step(str(board))
    for what, fix in facts.warnings(board):
        progress.on_warning(sentences(what, fix))
    found = install.survey(link, {**job.firmware, **job.for_slots})
    config = _config(link, job, board, row, found, result, progress)
    credentials = install.credentials(link, found)
    places = slots.find(link, found)
    if places and job.to_root:
        progress.on_step("the slots go: from now on the root runs, as it is flashed")
        slots.remove(link)
        board = facts.ask(link)
    wanted = {**job.firmware, CONFIG: config}
    if job.app is not None:
        wanted[APP] = job.app
    bundle = None
    if places and not job.to_root:
        for line in places.lines():
            progress.on_step(line)
        wanted |= job.for_slots
        if places.running:
            bundle, wanted = slots.divided(link, places, wanted)
    recorded = install.recorded(link, found)
    romfs.tidy(link, found)
    rom = None
    if MAIN in wanted and not job.as_source:
        rom, why_not = romfs.image_for(link, found, recorded, wanted)
        if why_not:
            progress.on_warning(why_not)
    if rom:
        wanted = {path: each for path, each in wanted.items() if not is_module(path)}
        hidden, found = found, found.without_firmware()
    plan = make_plan(wanted, found.hashes, found.names, recorded, MAIN not in wanted)
    install.check_space(board, plan, found)
    for path, aside in plan.set_aside.items():
        progress.on_step(f"{path} is yours: it is now {aside}")
    for path in plan.kept:
        progress.on_step(f"{path} is yours: it stays")
    size = sum(len(each) for each in plan.put.values())
    wrong = rom.wrong() if rom else set()
    into_rom = len(wrong) * rom.block_size if rom else 0
    progress.on_total(size + len(bundle or b"") + into_rom)
    if wrong:
        progress.on_step(f"writing the firmware into ROMFS, {into_rom // 1024} KB")
        rom.write(wrong, progress.on_bytes)
    if rom:
        romfs.let_it_run(link, hidden)
    if plan.put or plan.remove:
        files = "1 file" if len(plan.put) == 1 else f"{len(plan.put)} files"
        progress.on_step(f"writing {files}, {-(-size // 1024)} KB")
    elif not bundle and not wrong:
        progress.on_step("every file is up to date")
    install.apply(link, plan, found, progress.on_bytes)
    if bundle:
        progress.on_step(f"into the slot that does not run: {-(-len(bundle) // 1024)} KB")
        settings = content.check_config(config, board.id)["update"]
        for line in slots.install(link, bundle, settings, progress.on_bytes):
            progress.on_step(line)
    if not job.start:
        result.result, result.exit_code, result.detail = "flashed", PROVISIONED, ""
        return
    progress.on_step("starting")
    link.start()
    if not credentials and (asked := content.check_config(config, board.id)["asked"]):
        _wait_for_access_point(link, job, progress, result, asked)
        return
    outcome = follow(link, job.timeout, progress.on_line, job.app_runs_for)
    if bundle and outcome.exit_code == APP_FAILED:
        progress.on_step(f"what ran in {places.running} comes back by itself")
    _conclude(outcome, credentials, config, result)


def _wait_for_access_point(link, job, progress, result, asked: list[str]) -> None:
    """What config.json leaves to a person, the board asks for on its access point."""
    for line in link.lines(job.timeout):
        if line == PROMPT:
            break
        progress.on_line(line)
        if result.network in line:
            result.result, result.exit_code = "waits", PROVISIONED
            result.detail = f"it asks for {', '.join(asked)}: on a phone, or with `onboard`"
            return
    result.result, result.exit_code = RESULTS[TIME_RAN_OUT], TIME_RAN_OUT
    result.detail = f'the board has not opened its access point "{result.network}"'


def _skip(link: Link, result: Result, why: str) -> None:
    """Let a board go on with what it did."""
    result.result, result.exit_code, result.detail = "skipped", PROVISIONED, why
    link.start()


def _config(link, job, board, row, found, result, progress) -> bytes:
    on_board = link.read(CONFIG) if CONFIG in found.hashes else None
    forgotten = (
        found.has(install.CREDENTIALS)
        and content.has_forgotten(on_board)
        and not job.restore_secret
    )
    if forgotten:
        progress.on_step("the secret stays forgotten; --restore-secret puts it back")
    config = content.config_for(
        job.config, board.id, row, forgotten, job.config_name, board.chip_name, on_board
    )
    result.name = content.identity(config, board.id)[0]
    if label := label_of(config, board.id):
        result.network, result.password = label
    return config


def _conclude(outcome: Outcome, before: dict, config: bytes, result: Result) -> None:
    """What the board is, which need not be what config.json wants it to be.

    `before`: the credentials that were on it.
    """
    result.exit_code, result.detail = outcome.exit_code, outcome.detail
    if outcome.exit_code in (PROVISIONED, APP_FAILED):
        wanted = content.identity(config, result.id)
        found = outcome.name or wanted[0], wanted[1]
        if before.get("deviceName") == outcome.name:
            found = outcome.name, content.server_of(before)
        if found != wanted:
            result.exit_code = PROVISIONED_AS_ANOTHER
            what = f'the board is "{found[0]}" on {found[1]}, not "{wanted[0]}" on {wanted[1]}'
            result.detail = sentences(what, *outcome.notes)
        result.name = found[0]
    result.result = RESULTS[result.exit_code]
