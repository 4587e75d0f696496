"""What the simulated modules offer is what MicroPython's stubs say that the board has."""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path

import pytest

from host_tests.virtual_bench import Bench, both_kinds, needs_micropython

STUBS = {"esp32": "micropython-esp32-stubs", "rp2": "micropython-rp2-rpi-pico-w-stubs"}
# extmod/network_cyw43.c takes them.
NOT_IN_STUBS = {("rp2", "network.WLAN.connect"): {"security", "channel"}}


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


@both_kinds
def test_names_are_the_board_s(bench, kind):
    """Every public name, constant and parameter of the simulated modules is in the stubs."""
    main = """
        import json, inspect, machine, network
        found = {}
        def look(where, thing):
            for name, value in vars(thing).items():
                if name.startswith("_"):
                    continue
                if inspect.isclass(value):
                    look(where + name + ".", value)
                elif isinstance(value, int):
                    found[where + name] = value
                elif inspect.isfunction(value):
                    found[where + name] = [
                        p.name for p in inspect.signature(value).parameters.values()
                        if p.kind == p.KEYWORD_ONLY
                    ]
        for module in (machine, network):
            look(module.__name__ + ".", module)
        print(json.dumps(found))
    """
    stubs = _stubs(kind)
    found = json.loads(bench.play(main, kind, "cpython").lines[0])
    assert {name for name in found if name not in stubs} == set()
    for name, value in found.items():
        said = stubs[name]
        if isinstance(value, list):
            assert set(value) <= said | NOT_IN_STUBS.get((kind, name), set()), name
        elif said is not None:
            assert value == said, name


@needs_micropython
@both_kinds
def test_sockets_are_the_board_s(bench, kind):
    main = """
        import json, socket
        found = {name: getattr(socket, name) for name in dir(socket) if name.isupper()}
        found = {name: value for name, value in found.items() if name[0] != "_"}
        print(json.dumps(found))
        print(json.dumps([name for name in dir(socket.socket(2, 2))]))
    """
    stubs = _stubs(kind)
    constants, methods = map(json.loads, bench.play(main, kind).lines)
    for name, value in constants.items():
        assert stubs["socket." + name] in (None, value), name
    offered = {name.rpartition(".")[2] for name in stubs if name.startswith("socket.socket.")}
    assert {name for name in methods if name[0] != "_"} - offered == {"ioctl", "take_datagrams"}
    assert offered - set(methods) - {"fileno"} == set()


@needs_micropython
def test_error_numbers_are_esp32_s(bench):
    main = """
        import errno, json
        print(json.dumps({name: getattr(errno, name) for name in dir(errno) if name[0] == "E"}))
    """
    stubs = _stubs("esp32")
    found = json.loads(bench.play(main).lines[0])
    for name, value in found.items():
        assert stubs.get("errno." + name) in (None, value), name


def _stubs(kind: str) -> dict:
    """Every name in the stubs: a constant's value or a function's keyword-only parameters."""
    folder = Path(sys.prefix, "stubs", kind)
    if not folder.is_dir():
        pytest.skip(f"{STUBS[kind]} is not installed in {folder}")
    names: dict = {}
    for module in ("machine", "network", "socket", "errno"):
        text = (folder / f"{module}.pyi").read_text(encoding="utf-8")
        _collect(f"{module}.", ast.parse(text), names)
    return names


def _collect(where: str, node: ast.AST, names: dict) -> None:
    for child in node.body:
        if isinstance(child, ast.ClassDef):
            _collect(where + child.name + ".", child, names)
        elif isinstance(child, ast.FunctionDef):
            keywords = names.setdefault(where + child.name, set())
            keywords.update(argument.arg for argument in child.args.kwonlyargs)
        elif isinstance(child, ast.AnnAssign):
            try:
                names[where + child.target.id] = ast.literal_eval(child.value)
            except ValueError:
                names[where + child.target.id] = None
