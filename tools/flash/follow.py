"""Follow the console of a board that was started, until it is known what came of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from tools.flash.errors import APP_FAILED, FAILED, TIME_RAN_OUT, sentences
from tools.flash.link import PROMPT, Link
from tools.virtual_board.console import Console

# Seconds: until the application has its turn.
_SETTLES_WITHIN = 10.0
_TRACEBACK_ENDS_WITHIN = 0.3
_FROM_CREDENTIALS = re.compile(r'provisioned: "(.*)"')


@dataclass
class Outcome:
    """`exit_code`, and why in `detail`; `name`: the device that the board says it is.

    `notes`: what the board said between being provisioned and its application.
    """

    exit_code: int = TIME_RAN_OUT
    detail: str = ""
    name: str = ""
    notes: list[str] = field(default_factory=list)


def follow(
    link: Link, timeout: float, on_line: Callable[[str], None], app_runs_for: float
) -> Outcome:
    """Follow a board for at most `timeout` seconds, then its application. In seconds.

    `app_runs_for`: how long the application has to go on without raising. Raises FlashingError
    when the board is gone.
    """
    console, last, headline, trouble = Console(), "nothing", "", ""
    outcome = Outcome()
    for line in link.lines(timeout):
        if line == PROMPT:
            outcome.exit_code = FAILED
            break
        on_line(line)
        last = line.strip()
        console.feed(line)
        text = line.partition("] ")[2]
        if text.startswith(f"{console.state}:"):
            headline = text
        elif text.startswith("  "):
            headline = sentences(headline, text.strip())
        if headline.startswith("failed:"):
            trouble = headline
        if console.provisioned or console.gave_up:
            outcome.exit_code = console.exit_code
            break
    if console.provisioned:
        if named := _FROM_CREDENTIALS.match(headline):
            outcome.name = named[1]
        if _reach_application(link, on_line, outcome.notes):
            _watch_application(link, on_line, outcome, app_runs_for)
    elif outcome.exit_code == TIME_RAN_OUT:
        outcome.detail = f"not provisioned after {timeout:g} s; the console's last line: {last}"
        if trouble:
            outcome.detail = sentences(outcome.detail, f"Before it, {trouble}")
    elif outcome.exit_code == FAILED:
        outcome.detail = f"the program on the board ended; the console's last line: {last}"
    else:
        outcome.detail = headline
    return outcome


def _reach_application(link: Link, on_line, notes: list[str]) -> bool:
    """Until the application's turn comes the firmware tidies up; whether there is one."""
    for line in link.lines(_SETTLES_WITHIN):
        if line == PROMPT:
            return False
        on_line(line)
        if "] application:" in line:
            return "running app.py" in line
        notes.append(line.partition("] ")[2].strip() or line.strip())
    return False


def _watch_application(link: Link, on_line, outcome: Outcome, seconds: float) -> None:
    """An application that raises does so at its start more often than later."""
    for line in link.lines(seconds):
        if line == PROMPT:
            return
        on_line(line)
        if "] application: app.py raised" in line:
            break
    else:
        return
    outcome.exit_code = APP_FAILED
    outcome.detail = line.partition("application: ")[2]
    for line in link.lines(_TRACEBACK_ENDS_WITHIN):
        if line == PROMPT:
            return
        on_line(line)
        if line[:1] != " " and not line.startswith("Traceback"):
            outcome.detail = f"app.py raised {line}"
            return
