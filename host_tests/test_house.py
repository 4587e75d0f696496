"""The rules of the house that no linter knows: what imports what, and how firmware is written."""

from __future__ import annotations

import ast
import re
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from firmware import application, errors, memory
from firmware.board.indicator import PATTERNS
from firmware.thingsboard import refusals
from tools.virtual_board.flash import PROJECT

FILES = [PROJECT / "boot.py", PROJECT / "main.py", *sorted((PROJECT / "firmware").rglob("*.py"))]
LONGEST_MODULE = 250  # lines: importing from source needs heap in proportion to the largest

# What each part of the firmware may import of the others; one way, and errors imports nothing.
MAY_IMPORT = {
    "main": {"firmware.application", "firmware.update.start"},
    "firmware.application": {
        "firmware.application_failure",
        "firmware.board.hardware",
        "firmware.board.kept",
        "firmware.memory",
        "firmware.onboarding.console",
        "firmware.power_up",
    },
    "firmware.application_failure": {"firmware.board.indicator"},
    "firmware.aio": {"firmware.device", "firmware.memory", "firmware.retry", "firmware.sleep"},
    "firmware.device": {
        "firmware.board.hardware",
        "firmware.coap.steps",
        "firmware.memory",
        "firmware.requests",
        "firmware.retry",
        "firmware.session",
        "firmware.sleep",
    },
    "firmware.sleep": {
        "firmware.coap.failure",
        "firmware.memory",
        "firmware.session",
        "firmware.thingsboard",
    },
    "firmware.requests": {"firmware.coap.message", "firmware.thingsboard"},
    "firmware.session": {
        "firmware.backlog",
        "firmware.coap",
        "firmware.link",
        "firmware.memory",
        "firmware.observed",
        "firmware.retry",
        "firmware.thingsboard",
    },
    "firmware.link": {
        "firmware.board.clock",
        "firmware.board.config",
        "firmware.board.wifi",
        "firmware.coap",
        "firmware.memory",
        "firmware.provisioning.rejection",
        "firmware.thingsboard.device_api",
        "firmware.update.watch",
    },
    "firmware.observed": {"firmware.coap", "firmware.retry", "firmware.thingsboard"},
    "firmware.backlog": {"firmware.memory", "firmware.thingsboard"},
    "firmware.failures": {"firmware.retry"},
    "firmware.memory": set(),
    "firmware.retry": {"firmware.memory"},
    "firmware.power_up": {
        "firmware.board",
        "firmware.failures",
        "firmware.memory",
        "firmware.onboarding",
        "firmware.retry",
        "firmware.provisioning.attempt",
        "firmware.provisioning.found",
        "firmware.provisioning.tidying",
    },
    "firmware.onboarding": {"firmware.board", "firmware.retry"},
    "firmware.update": {
        "firmware.board",
        "firmware.coap",
        "firmware.memory",
        "firmware.retry",
        "firmware.thingsboard",
    },
    # What it chose is handed over to, as main does.
    "firmware.update.start": {"firmware.application"},
    "firmware.provisioning.found": {"firmware.retry"},
    "firmware.provisioning": {
        "firmware.board",
        "firmware.coap",
        "firmware.memory",
        "firmware.thingsboard",
    },
    "firmware.thingsboard": {
        "firmware.coap.failure",
        "firmware.coap.message",
        "firmware.coap.percent",
    },
    "firmware.board": set(),
    "firmware.board.clock": {"firmware.coap.message"},
    "firmware.board.config": {"firmware.coap.uri"},
    "firmware.board.config_doubts": {"firmware.coap.uri"},
    "firmware.board.hardware": {"firmware.coap.udp"},
    "firmware.board.kept": {"firmware.coap.microcoapy", "firmware.onboarding.button"},
    "firmware.board.security": {"firmware.coap.dtls"},
    "firmware.board.security_steps": {"firmware.coap.dtls_steps"},
    "firmware.coap": set(),
    "firmware.errors": set(),
    "boot": set(),
}
PURE = (
    "firmware.coap.block",
    "firmware.coap.blocks",
    "firmware.coap.blockwise",
    "firmware.coap.echo",
    "firmware.coap.exchange",
    "firmware.coap.links",
    "firmware.coap.message",
    "firmware.coap.misfit",
    "firmware.coap.numbers",
    "firmware.coap.observe",
    "firmware.coap.observe_blocks",
    "firmware.coap.options",
    "firmware.coap.percent",
    "firmware.coap.steps",
    "firmware.coap.stream",
    "firmware.coap.unconfirmed",
    "firmware.coap.uri",
    "firmware.coap.uri_doubts",
    "firmware.coap.whole_uri",
    "firmware.onboarding.improv_packets",
    "firmware.thingsboard.attributes",
    "firmware.thingsboard.client_attributes",
    "firmware.thingsboard.device_api",
    "firmware.thingsboard.ota",
    "firmware.thingsboard.provisioning",
    "firmware.thingsboard.answers",
    "firmware.thingsboard.refusals",
    "firmware.thingsboard.refused",
    "firmware.thingsboard.readings",
    "firmware.thingsboard.rpc",
    "firmware.thingsboard.telemetry",
    "firmware.update.checksum",
    "firmware.board.config",
    "firmware.board.config_doubts",
    "firmware.board.config_mistakes",
    "firmware.board.hostname",
    "firmware.board.json_mistakes",
    "firmware.board.modulus",
    "firmware.board.near",
    "firmware.board.strict_json",
    "firmware.update.errors",
    "firmware.update.manifest",
)
# Those of MicroPython that no file can be taken for: seen on the image of a Pico W.
NEVER_SHADOWED = {"gc", "micropython", "network", "sys", "tls", "vfs"}
# Those that are a person's to bring, and what an application chose.
OF_OTHERS = {"app", "asyncio", "microcoapy"}
IMPURE = {"asyncio", "machine", "network", "os", "random", "select", "socket", "time"}


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(PROJECT).with_suffix("").parts)


def is_within(module: str, part: str) -> bool:
    return module == part or module.startswith(part + ".")


def parsed(path: Path) -> ast.Module:
    """A module, with its imports made absolute.

    The CoAP client's are relative, since it installs alone under another name, too.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    name = name_of(path)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            is_ours = node.level or (node.module or "").startswith("firmware")
            assert not is_ours or bool(node.level) == is_within(name, "firmware.coap"), name
            if node.level:
                package = name.split(".")[: -node.level]
                node.module = ".".join([*package, *([node.module] if node.module else [])])
    return tree


@cache
def modules() -> dict[str, ast.Module]:
    return {name_of(path): parsed(path) for path in FILES}


every_module = pytest.mark.parametrize("name", [name_of(path) for path in FILES])


def imports(tree: ast.Module) -> set[str]:
    """The modules that a module imports, wherever in it."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {
                submodule
                if (submodule := f"{node.module}.{alias.name}") in modules()
                else node.module
                for alias in node.names
            }
    return found


@every_module
def test_imports_point_one_way(name):
    parts = [part for part in MAY_IMPORT if is_within(name, part)]
    assert parts, f"{name} is no part that MAY_IMPORT knows"
    allowed = set().union(*(MAY_IMPORT[part] for part in parts))
    own_part = name.rpartition(".")[0]
    if own_part != "firmware" and own_part:
        allowed.add(own_part)
    if name != "firmware.errors":
        allowed.add("firmware.errors")
    within = {module for module in imports(modules()[name]) if is_within(module, "firmware")}
    assert not [m for m in within if not any(is_within(m, part) for part in allowed)]


def test_the_firmware_takes_no_file_of_a_user_s_for_a_module_of_micropython():
    used = set().union(*map(imports, modules().values()))
    native = {module.partition(".")[0] for module in used} - {"firmware", "boot", "main"}
    assert native - NEVER_SHADOWED - OF_OTHERS == set(application.NATIVE.split())


def test_every_edge_in_the_table_is_used():
    """An edge that no module needs any more leaves the table."""
    for part, allowed in MAY_IMPORT.items():
        used = set().union(
            *(imports(modules()[name]) for name in modules() if is_within(name, part))
        )
        for edge in allowed:
            assert any(is_within(module, edge) for module in used), f"{part} → {edge}"


def test_imports_make_no_circle():
    """Nor do those inside of functions."""
    TopologicalSorter({name: imports(tree) for name, tree in modules().items()}).prepare()


@pytest.mark.parametrize("name", PURE)
def test_pure_modules_touch_nothing(name):
    assert not imports(modules()[name]) & IMPURE


def test_errors_import_nothing():
    assert imports(modules()["firmware.errors"]) == set()


@every_module
def test_modules_are_short(name):
    lines = (PROJECT / (name.replace(".", "/") + ".py")).read_text(encoding="utf-8").splitlines()
    assert len(lines) <= LONGEST_MODULE
    if name in ("boot", "main"):
        assert len(lines) <= 12  # read at a glance


@every_module
def test_what_firmware_does_not_say(name):
    raising = set()  # handlers beside one that lets Ctrl-C through
    for node in ast.walk(modules()[name]):
        place = f"{name}, line {getattr(node, 'lineno', 0)}"
        assert not isinstance(node, ast.Assert), f"{place}: assert on what came from outside"
        if isinstance(node, ast.Try):
            handlers = [ast.unparse(each) for each in node.handlers]
            if "except KeyboardInterrupt:\n    raise" in handlers:
                raising.update(node.handlers)
        if isinstance(node, ast.ExceptHandler) and node not in raising:
            caught = ast.unparse(node.type) if node.type else ""
            assert caught not in ("", "BaseException"), f"{place}: it would catch Ctrl-C"
            # But for what only looks like it, and goes on in one place.
            is_looked_at = name == "firmware.application" and "raise" in ast.unparse(node)
            assert "KeyboardInterrupt" not in caught or is_looked_at, f"{place}: it catches Ctrl-C"
        if isinstance(node, ast.Raise):
            assert node.cause is None, f"{place}: MicroPython has no exception chaining"
        if isinstance(node, ast.Name) and node.id == "print":
            assert name == "firmware.board.indicator", f"{place}: the indicator prints"
        if isinstance(node, ast.Try):
            bodies = [*node.body, *(line for each in node.handlers for line in each.body)]
            caught = {ast.unparse(each.type) for each in node.handlers if each.type}
            is_switch = caught & {"ImportError", "AttributeError", "Exception"} and any(
                isinstance(each, (ast.Import, ast.ImportFrom)) for each in bodies
            )
            # The user's app.py, and what a slot has, are what may fail to import.
            may_fail = ("firmware.application", "firmware.update.start")
            assert not is_switch or name in may_fail, f"{place}: an import trick"


def test_every_module_that_is_given_back_by_its_name_is_one():
    """The name of none would give nothing back, and nobody would hear of it."""
    texts = {
        node.value.strip()
        for tree in modules().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    rooms = "board|coap|onboarding|provisioning|thingsboard|update"
    name = rf"(?:{rooms})\.[a-z_0-9]+"
    lists = [text for text in texts if re.fullmatch(rf"{name}( {name}|\s[a-z]+)*", text)]
    assert len(lists) >= 5
    named = {f"firmware.{each}" for text in lists for each in text.split()}
    assert named <= set(modules())


def test_a_device_at_work_holds_nothing_that_is_given_back():
    """A function of a module keeps all of it, beside the one that is loaded again."""
    given = {f"firmware.{each}" for each in f"{memory._STEPS} {memory.CLIENT}".split()}
    stays = {"firmware.observed", "firmware.thingsboard.attributes", "firmware.thingsboard.rpc"}
    stays |= {"firmware.aio", "firmware.sleep", "firmware.update.watch"}
    found = set()
    while stays != found:
        found = set(stays)
        for name in found:
            top = ast.Module([each for each in modules()[name].body if not is_function(each)], [])
            stays |= imports(top) & set(modules())
    assert not stays & given


def is_function(node: ast.AST) -> bool:
    return isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))


def test_every_state_that_is_shown_is_one_and_every_one_is_shown():
    """A misspelt state would raise KeyError on a board, in the middle of its trouble."""
    named = {**vars(errors), **vars(refusals)}.values()
    shown = {each.state for each in named if isinstance(each, type)}
    for name, tree in modules().items():
        # Those of a candidate are its own.
        has_own = is_within(name, "firmware.onboarding")
        for node in ast.walk(tree):
            is_set = isinstance(node, ast.Assign) and not has_own
            if is_set and ast.unparse(node.targets[0]).endswith(".state"):
                shown.add(node.value.value)
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("indicator.show"):
                if ast.unparse(node.args[0]).endswith(".state"):
                    continue
                assert isinstance(node.args[0], ast.Constant), f"{name}, line {node.lineno}"
                shown.add(node.args[0].value)
    assert shown == set(PATTERNS)


@every_module
def test_what_is_public_has_a_docstring(name):
    if name in ("boot", "main"):
        return
    tree = modules()[name]
    missing = [] if ast.get_docstring(tree) else [name]
    bodies = [tree.body]
    for body in bodies:
        for node in body:
            if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.name[0] != "_":
                if not ast.get_docstring(node):
                    missing.append(f"{name}.{node.name}")
                if isinstance(node, ast.ClassDef):
                    bodies.append(node.body)
    assert not missing


def test_the_version_is_the_same_everywhere():
    project = (PROJECT / "pyproject.toml").read_text(encoding="utf-8")
    in_project = re.search(r'^version = "(.+)"$', project, re.MULTILINE)[1]
    in_firmware = [
        node.value.value
        for name in ("firmware.board.kept", "firmware.application")
        for node in modules()[name].body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).endswith("VERSION")
    ]
    assert in_firmware == [in_project] * 2
