"""README.md says what is true."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
from collections.abc import Collection
from itertools import product

import pytest
import typer

from firmware import errors
from firmware.board import config
from firmware.board.config import KEYS
from firmware.board.indicator import PATTERNS
from firmware.thingsboard import device_api, refusals
from firmware.update import errors as update_errors
from host_tests.readme import README, read_block
from host_tests.virtual_bench import needs_micropython
from tools.cli import app
from tools.pictures.demo import by_side
from tools.verbs.shared import BOARD_CODES, POWER_UP_CODES
from tools.virtual_board.flash import PROJECT

TEXT = README.read_text(encoding="utf-8")


def section(title: str) -> str:
    return TEXT.split(f"\n## {title}\n")[1].split("\n## ")[0]


def table(title: str) -> list[list[str]]:
    """The rows of a section's table, as cells, without its head."""
    rows = [line for line in section(title).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]


def code_spans(text: str) -> list[str]:
    return [span.strip() for _, span in re.findall(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", text)]


# The demo


@needs_micropython
def test_the_demo_prints_what_readme_shows():
    demo = subprocess.run(
        [sys.executable, "-c", "from tools.cli import main; main()", "demo"],
        cwd=PROJECT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        timeout=30,
        check=True,
    ).stdout
    assert by_side(read_block("demo")) == by_side(demo), "python3 -m tools pictures records it anew"


def test_the_demo_command_is_on_the_first_screen():
    assert "\n```\npython3 -m tools demo\n```\n" in "\n".join(TEXT.splitlines()[:10])


# config.json


LINES = [
    (section, *(line + " null").split(" ")[:3])
    for section, lines in KEYS
    for line in lines.split("\n")
]
SECTIONS = ("dict", "networks")
DEFAULTS = {section + key: default for section, key, kind, default in LINES if kind not in SECTIONS}
UNTIL_PROVISIONED = [section + key for section, key, kind, _ in LINES if kind == "secret"]


def keys_and_defaults() -> list[tuple[str, str]]:
    """Each key of README's table, and what its row has as the default."""
    named: list[tuple[str, str]] = []
    for keys, _, default, _ in table("config.json"):
        for key in code_spans(keys):
            whole = named[-1][0].partition(".")[0] + key if key.startswith(".") else key
            named.append((whole, default))
    return named


def test_the_table_of_keys_names_every_key():
    assert sorted(key for key, _ in keys_and_defaults()) == sorted(DEFAULTS)


def test_the_table_of_keys_has_the_defaults():
    for key, shown in keys_and_defaults():
        default = DEFAULTS[key]
        if default == "!":
            until = " until provisioned" if key in UNTIL_PROVISIONED else ""
            assert shown == "required" + until, key
        elif shown.startswith("`"):
            assert shown.strip("`") == default, key
        elif shown:  # words: what the firmware makes of null
            assert default == "null" and not shown.startswith("required"), key


def test_the_example_is_a_good_configuration():
    example = re.search(r"```json\n(.*?)```", section("Put it on your board"), re.DOTALL)[1]
    assert config.check(example.encode(), "24dcc399a4e8")["server"]


# The console


def test_the_table_of_states_names_every_state():
    named = [code_spans(state)[0].rstrip(":") for state, *_ in table("What you see")]
    assert named == list(PATTERNS)


# Lines that report no trouble.
NO_TROUBLE = ("firstboot ", "next try in ", "restart in ", "running app.py")
ERRORS = tuple(
    name
    for module in (errors, refusals, device_api, update_errors)
    for name, each in vars(module).items()
    if isinstance(each, type) and issubclass(each, errors.FirstbootError)
)


def messages() -> dict[str, str]:
    """Every text with which the firmware reports trouble, "…" for what is filled in: its place."""
    functions = [
        (path.name, node)
        for path in sorted((PROJECT / "firmware").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    ]
    # What makes an error of a text that it is given, and adds none, itself or by another one.
    makers: set[str] = set()
    for _ in range(2):
        makers |= {
            each.name
            for _, each in functions
            if (own := list(_reports(each, makers)))
            and not any(text.strip("…: ") for one in own for text in _texts(one, each))
        }
    found = {}
    for name, function in functions:
        for expression in _reports(function, makers):
            for text in _texts(expression, function):
                if not text.startswith(NO_TROUBLE) and text.strip("…: "):
                    found[text] = f"{name}:{expression.lineno}"
    return found


def _reports(function: ast.FunctionDef, makers: Collection[str]):
    """The expressions in a function that say what went wrong.

    An error without a fix is caught by other code, and never shown to a person.
    """
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).endswith(".what"):
            yield node.value
        if not isinstance(node, ast.Call) or not node.args:
            continue
        called = ast.unparse(node.func)
        has_a_fix = len(node.args) > 1 or node.keywords
        if (
            called in makers
            or called == "problems.append"
            or called == "say"
            or called.endswith(("indicator.say", "stdout.write"))
            or (called in ERRORS and has_a_fix)
        ):
            yield node.args[0]
        elif called == "remarks.append":
            lines = node.args[0]
            if isinstance(lines, ast.Name):
                lines = next(
                    each.value
                    for each in ast.walk(function)
                    if isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == lines.id
                )
            while isinstance(lines, ast.BinOp):
                lines = lines.left
            yield lines.elts[0]
        elif called == "board.indicator.show" and ast.unparse(node.args[0]) == "'application'":
            yield node.args[1]


def _texts(expression: ast.expr, function: ast.FunctionDef) -> list[str]:
    if isinstance(expression, ast.Constant):
        return [re.sub(r"%(\(\w+\))?[sdg]", "…", str(expression.value))]
    if isinstance(expression, ast.BinOp) and isinstance(expression.op, ast.Mod):
        right = expression.right
        values = [
            _texts(value, function) if isinstance(value, ast.Name) else ["…"]
            for value in (right.elts if isinstance(right, ast.Tuple) else [right])
        ]
        templates = _texts(expression.left, function)
        return [_filled_in(text, choice) for text in templates for choice in product(*values)]
    if isinstance(expression, ast.IfExp):
        return _texts(expression.body, function) + _texts(expression.orelse, function)
    if isinstance(expression, ast.BinOp):
        left = _texts(expression.left, function)[0]
        return [left + _texts(expression.right, function)[0]]
    if isinstance(expression, ast.List):
        return [text for each in expression.elts for text in _texts(each, function)]
    if isinstance(expression, ast.Name):
        assigned = [
            node.value
            for node in ast.walk(function)
            if (isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == expression.id)
            or (isinstance(node, ast.AugAssign) and ast.unparse(node.target) == expression.id)
        ]
        if assigned:
            return [text for each in assigned for text in _texts(each, function)]
    return ["…"]


def _filled_in(template: str, values: tuple[str, ...]) -> str:
    """The text with each "…" replaced, if there is a value for each."""
    parts = template.split("…")
    if len(parts) != len(values) + 1:
        return template
    return parts[0] + "".join(value + part for value, part in zip(values, parts[1:]))


def _is_in(phrase: str, text: str) -> bool:
    """Whether a row's phrase can stand in a text; "…" in it is anything, in the text a word."""
    if phrase.startswith("…"):
        return _is_in(phrase[1:], text)
    return any(_begins(phrase, text[start:]) for start in range(len(text)))


def _begins(phrase: str, text: str) -> bool:
    if not phrase:
        return True
    if phrase[0] == "…":
        return any(_begins(phrase[1:], text[start:]) for start in range(len(text) + 1))
    if not text:
        return False
    if text[0] == "…":
        word = len(re.match(r"\S*", phrase)[0])
        return any(_begins(phrase[length:], text[1:]) for length in range(word + 1))
    return phrase[0] == text[0] and _begins(phrase[1:], text[1:])


def rows() -> list[list[str]]:
    """The phrases of each row of the troubleshooting table."""
    return [code_spans(cell) for cell, _ in table("When something goes wrong")]


def test_every_message_is_in_the_troubleshooting_table():
    phrases = [phrase for row in rows() for phrase in row]
    missing = [
        f"{place}: {text}"
        for text, place in messages().items()
        if not any(_is_in(phrase, text) for phrase in phrases)
    ]
    assert not missing, "\n".join(["README.md has no row for:", *missing])


def test_every_row_of_the_troubleshooting_table_is_a_message():
    texts = messages()
    unknown = [p for row in rows() for p in row if not any(_is_in(p, text) for text in texts)]
    assert not unknown, f"the firmware never says: {unknown}"


def test_matching_of_phrases():
    assert _is_in('no network "…" in range', 'no network "…" in range')
    assert _is_in("answered 5.00", "ThingsBoard answered …: …")
    assert _is_in("… belongs there", "`…` is …; … belongs there")
    assert not _is_in("was not found", "… cannot be saved: …")
    assert not _is_in("answered FAILURE", "ThingsBoard answered NOT_FOUND: it knows no …")


# Commands and links


def commands() -> list[str]:
    found, in_block = [], False
    for line in TEXT.splitlines():
        if line.startswith("```"):
            in_block = not in_block
        else:
            found += [line] if in_block else code_spans(line)
    return sorted({each for each in found if each.startswith("python3 -m tools ")})


@pytest.mark.parametrize("command", commands())
def test_the_command_is_accepted(command):
    verb, *arguments = shlex.split(command, comments=True)[3:]
    verbs = typer.main.get_command(app).commands
    for name in verbs if verb == "VERB" else [verb]:
        try:
            verbs[name].make_context(name, list(arguments))
        except typer.Exit as end:
            assert end.exit_code == 0


def test_every_verb_is_shown():
    shown = {command.split()[3] for command in commands()}
    assert shown >= set(typer.main.get_command(app).commands)


def test_links_to_files_lead_somewhere():
    targets = re.findall(r"\]\(([^)#]+)\)", TEXT)
    files = [target for target in targets if "://" not in target]
    assert files
    for file in files:
        assert (PROJECT / file).exists(), file


def test_the_exit_codes_are_those_that_help_shows():
    def codes(text: str) -> list[int]:
        return [int(number) for number in re.findall(r"^  (\d+)  ", text, re.M)]

    [sentence] = re.findall(r"`power-up` and `provision` exit with (.*?)\. ", TEXT)
    assert sorted(map(int, re.findall(r"\b\d+\b", sentence))) == codes(POWER_UP_CODES)
    [more] = re.findall(r"Exit codes are those of `power-up` below, and (.*?)\(", TEXT)
    more = [int(each) for each in re.findall(r"\b(\d) when", more)]
    assert sorted({*codes(POWER_UP_CODES), *more}) == codes(BOARD_CODES)
