"""The commands of an operator, one a line, and scripts of them. Times in ms.

Pure, but for the file that `assign` names, which is read with the command.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from tools.fake_thingsboard.operator import Operator
from tools.fake_thingsboard.ota import KINDS, Package

HELP = """\
set [NAME] KEY VALUE        set a shared attribute, of all devices if none is named
unset [NAME] KEY            delete it
call NAME METHOD [PARAMS]   call an RPC method; --one-way, --persistent, --timeout SECONDS
reply METHOD VALUE          what the rule chain answers when a device calls that method
delete NAME                 delete the device
token NAME [TOKEN]          change its access token, to a random one if none is named
assign [NAME] fw|sw FILE TITLE VERSION
                            assign a package, to all devices and those to come if none is named
unassign NAME fw|sw         take it away
show [NAME]                 what is known of a device, or of all
restart                     restart the server
stop 20 s                   the same, and it takes so long
wait for NAME [attributes|rpc]
                            until the device is there, or observes that
after 5 s COMMAND           the command so long after what is before it
help                        this

A VALUE, and PARAMS, is JSON, or else text of one word. A NAME with a space: in double quotes."""

_UNITS = {"ms": 1, "s": 1_000, "min": 60_000, "h": 3_600_000}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|min|h)?")


def _refuse(constant: str):
    raise ValueError(f"{constant} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse)


class CommandError(ValueError):
    """A line that is no command: what is wrong with it, in one line."""


class Command(NamedTuple):
    """`run(operator, now)` gives what to say, or None to be asked again; `after`: in ms.

    `line`: the command as people are shown it, without a token.
    """

    line: str
    run: Callable[[Operator, int], str | None]
    after: int = 0


class _Word(NamedTuple):
    text: str
    value: object  # of the JSON that it is, else the text


def parse(line: str) -> Command:
    """Read a command. Raises CommandError."""
    return _parse(line.strip(), _words(line.strip()))


def parse_script(text: str) -> list[Command]:
    """Read a file of commands; empty lines, and what begins with #, are nothing.

    Raises CommandError, which names the line.
    """
    commands = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.strip().startswith("#"):
            try:
                commands.append(parse(line))
            except CommandError as error:
                raise CommandError(f"line {number}: {error}") from None
    return commands


class Script:
    """Commands of an operator, done one after the other; `say` is called with lines for people.

    `on_timer` is due at `wake_at`, and whenever something else may have happened.
    """

    def __init__(self, operator: Operator, commands: list[Command], say: Callable[[str], None]):
        self.operator = operator
        self._say = say
        self._commands = deque(commands)
        self._ready_at: int | None = None  # when the next command is due
        self._is_waiting = False

    @property
    def wake_at(self) -> int | None:
        """When the next command is due; None when it waits for something else, or is_done."""
        return None if self._is_waiting else self._ready_at

    @property
    def is_done(self) -> bool:
        """Whether all commands are done."""
        return not self._commands

    def on_timer(self, now: int) -> None:
        """Do the next command, if it is due; `notify` of the endpoint is due after each."""
        if self.is_done:
            return
        command = self._commands[0]
        if self._ready_at is None:
            self._ready_at = now + command.after
        if self._ready_at > now:
            return
        try:
            told = command.run(self.operator, now)
        except (KeyError, ValueError) as error:
            told = f"{command.line}: {_reason(error)}"
        self._is_waiting = told is None
        if told is None:
            return
        self._commands.popleft()
        self._say(told or f"done: {command.line}")
        self._ready_at = None
        if self._commands:
            self._ready_at = max(now, self.operator.down_until) + self._commands[0].after


def _reason(error: KeyError | ValueError) -> str:
    return f"there is no device {error.args[0]!r}" if isinstance(error, KeyError) else str(error)


def _words(line: str) -> list[_Word]:
    words, position = [], 0
    while position < len(line):
        if line[position].isspace():
            position += 1
            continue
        end = _end_of_word(line, position)
        text = line[position:end]
        if text[0] in '"{[':
            try:
                value, end = _DECODER.raw_decode(line, position)
            except (ValueError, RecursionError):
                raise CommandError(f"what begins with {text[0]} is not JSON") from None
            if end < len(line) and not line[end].isspace():
                raise CommandError(f"behind what begins with {text[0]} a space is missing")
            text = value if isinstance(value, str) else line[position:end]
        else:
            value = _json_or_text(text)
        words.append(_Word(text, value))
        position = end
    return words


def _end_of_word(line: str, position: int) -> int:
    while position < len(line) and not line[position].isspace():
        position += 1
    return position


def _json_or_text(text: str):
    try:
        return _DECODER.decode(text)
    except ValueError:
        return text


def _parse(line: str, words: list[_Word]) -> Command:
    if not words:
        raise CommandError("there is no command")
    verb, *rest = words
    if verb.text == "after":
        ms, rest = _duration(rest)
        if not rest:
            raise CommandError("after so long, what? Write a command behind it")
        command = _parse(line, rest)
        return command._replace(after=ms + command.after)
    make = _VERBS.get(verb.text)
    if make is None:
        near = get_close_matches(verb.text, [*_VERBS, "after"], 1)
        hint = f"did you mean {near[0]!r}?" if near else "'help' says what there is"
        raise CommandError(f"there is no command {verb.text!r}: {hint}")
    if verb.text == "token" and rest:
        line = f"token {rest[0].text}"  # nobody is shown a token
    return Command(line, make(rest))


def _duration(words: list[_Word]) -> tuple[int, list[_Word]]:
    """How many ms, and the words behind."""
    match = _DURATION.fullmatch(words[0].text) if words else None
    if match is None:
        raise CommandError("how long? Write, for example, 5 s or 500 ms")
    number, unit = match.groups()
    rest = words[1:]
    if unit is None:
        if not rest or rest[0].text not in _UNITS:
            raise CommandError(f"{number} of what? Write {', '.join(_UNITS)} behind it")
        unit, rest = rest[0].text, rest[1:]
    return round(float(number) * _UNITS[unit]), rest


def _expect(words: list[_Word], least: int, most: int, usage: str) -> None:
    if not least <= len(words) <= most:
        raise CommandError(f"write {usage}")


def _set(words):
    _expect(words, 2, 3, "set [NAME] KEY VALUE")
    *names, key, value = words
    if value.value is None:
        raise CommandError("null is no value: unset deletes a key")
    values = {key.text: value.value}
    return _for_each(names, lambda operator, name: operator.set_shared(name, values))


def _unset(words):
    _expect(words, 1, 2, "unset [NAME] KEY")
    *names, key = words
    return _for_each(names, lambda operator, name: operator.delete_shared(name, [key.text]))


def _for_each(names: list[_Word], act: Callable[[Operator, str], None]):
    def act_on_each(operator: Operator, now: int) -> None:
        for name in _chosen(operator, names):
            act(operator, name)

    return _acting(act_on_each)


def _chosen(operator: Operator, names: list[_Word]) -> list[str]:
    """The device that is named, or all. Raises ValueError when there is none at all."""
    chosen = [name.text for name in names] or operator.names
    if not chosen:
        raise ValueError("there is no device yet")
    return chosen


def _call(words):
    options = {"persistent": False, "one_way": False}
    rest = []
    words = deque(words)
    while words:
        word = words.popleft()
        if word.text in ("--persistent", "--one-way"):
            options[word.text[2:].replace("-", "_")] = True
        elif word.text == "--timeout":
            seconds = words.popleft().value if words else None
            if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or seconds <= 0:
                raise CommandError("write --timeout and a number of seconds")
            options["timeout"] = round(seconds * 1000)
        else:
            rest.append(word)
    _expect(rest, 2, 3, "call NAME METHOD [PARAMS] [--one-way] [--persistent] [--timeout SECONDS]")
    name, method, *params = rest
    arguments = name.text, method.text, *(word.value for word in params)
    return _acting(lambda operator, now: operator.call_rpc(*arguments, **options))


def _reply(words):
    _expect(words, 2, 2, "reply METHOD VALUE")
    method, value = words
    return _acting(lambda operator, now: operator.reply(method.text, value.value))


def _delete(words):
    _expect(words, 1, 1, "delete NAME")
    return _acting(lambda operator, now: operator.delete_device(words[0].text))


def _token(words):
    _expect(words, 1, 2, "token NAME [TOKEN]")
    name, token = [word.text for word in [*words, _Word("", "")][:2]]
    return _acting(lambda operator, now: operator.change_token(name, token or None))


def _assign(words):
    _expect(words, 4, 5, "assign [NAME] fw|sw FILE TITLE VERSION")
    *names, kind, file, title, version = (word.text for word in words)
    package = Package(_kind(kind), title, version, read_package_file(file))
    name = names[0] if names else None
    return _acting(lambda operator, now: operator.assign(name, package))


def _unassign(words):
    _expect(words, 2, 2, "unassign NAME fw|sw")
    name, kind = words[0].text, _kind(words[1].text)
    return _acting(lambda operator, now: operator.unassign(name, kind))


def _kind(kind: str) -> str:
    if kind not in KINDS:
        raise CommandError(f"{kind!r} is no kind of package: write fw or sw")
    return kind


def read_package_file(file: str) -> bytes:
    """The content of a package. Raises CommandError when it cannot be read, or is empty."""
    try:
        data = Path(file).read_bytes()
    except OSError as error:
        raise CommandError(f"cannot read {file}: {error.strerror or error}") from None
    if not data:
        raise CommandError(f"{file} is empty")
    return data


def _show(words):
    _expect(words, 0, 1, "show [NAME]")

    def run(operator: Operator, now: int) -> str:
        return "\n".join(operator.describe(name) for name in _chosen(operator, words))

    return run


def _restart(words):
    _expect(words, 0, 0, "restart alone")
    return _acting(lambda operator, now: operator.restart())


def _stop(words):
    ms, rest = _duration(words)
    _expect(rest, 0, 0, "stop 20 s")
    return _acting(lambda operator, now: operator.stop(now, ms))


def _wait(words):
    if words and words[0].text == "for":
        words = words[1:]
    _expect(words, 1, 2, "wait for NAME [attributes|rpc]")
    name, *feature = (word.text for word in words)
    if feature and feature[0] not in ("attributes", "rpc"):
        raise CommandError(f"{feature[0]!r} is not observed: write attributes or rpc")

    def run(operator: Operator, now: int) -> str | None:
        is_there = operator.observes(name, feature[0]) if feature else name in operator.names
        return "" if is_there else None

    return run


def _help(words):
    return lambda operator, now: HELP


def _acting(act: Callable[[Operator, int], None]):
    def run(operator: Operator, now: int) -> str:
        act(operator, now)
        return ""

    return run


_VERBS = {
    "set": _set,
    "unset": _unset,
    "call": _call,
    "reply": _reply,
    "delete": _delete,
    "token": _token,
    "assign": _assign,
    "unassign": _unassign,
    "show": _show,
    "restart": _restart,
    "stop": _stop,
    "wait": _wait,
    "help": _help,
}
