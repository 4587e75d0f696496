"""What config.json's choices, and an application's, take of a board's flash and heap."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table

from tools import roles
from tools.flash import content
from tools.measure import budgets, modules
from tools.measure.bench import Bench, MeasureError
from tools.measure.figures import FIGURES
from tools.virtual_board.boards import KINDS

_BLOCK = 4096
_HEAPS = [each for each in FIGURES if "heap" in each.key or each.key.startswith("frozen")]
# The modules of firmware/ that a choice begins with. A module belongs to the first choice that
# comes to it by its imports, those inside of functions included.
_BEGINS = {
    "provisioning over coap": ("power_up", "application"),
    "coaps, with a token": ("board.security",),
    "coaps, with an X.509 certificate": ("coap.blockwise", "board.certificate"),
    "Device that reports": ("device",),
    "Device with attributes or calls": ("observed",),
    "Device with asyncio": ("aio",),
    "update": (),
    "onboarding": (),
    '"codec": "microcoapy"': (),
    "the CoAP client's other modules": (),
}
_BASE, _COAPS, _X509, _DEVICE, _OBSERVES, _AIO, *_ROLES, _OTHERS = _BEGINS
_ROLE_OF = dict(zip(_ROLES, (roles.UPDATE, "onboarding", "microcoapy")))


@dataclass(frozen=True)
class Choice:
    """`mpy`: bytes of its modules, `flash`: with what is lost in blocks, `heap`: of its code with
    every module loaded, None where this MicroPython does not import it. `is_everywhere`: whether
    its modules are on every board. `is_made`: None when nobody said.
    """

    modules: list[str]
    mpy: int
    flash: int
    heap: int | None
    is_everywhere: bool
    is_made: bool | None


def choices(bench: Bench, config: bytes | None, app: bytes | None) -> dict[str, Choice]:
    """Every choice by its name, and which of them config.json and app.py make."""
    compiled = content.firmware(asked_for=(roles.MOST | {"microcoapy"}))
    sizes = {
        _name(path): len(data) for path, data in compiled.items() if path.startswith("/firmware/")
    }
    made = _made(config, app)
    found: dict[str, Choice] = {}
    before: list[str] = []
    for choice, names in _parts(bench.source, sizes).items():
        try:
            heap = sum(modules.heap_of(bench, [*before, *names])[len(before) :])
            before += names
        except (MeasureError, ValueError):  # without what it wants, such as DTLS
            heap = None
        bytes_of = [sizes[name] for name in names]
        found[choice] = Choice(
            names,
            sum(bytes_of),
            _in_blocks(bytes_of),
            heap,
            choice not in _ROLE_OF,
            made.get(choice),
        )
    return found


def on_flash(config: bytes, app: bytes | None) -> int:
    """The bytes of a board's flash that `flash` takes with these files."""
    files = content.firmware(asked_for=roles.asked_for(config))
    return _in_blocks(len(each) for each in (*files.values(), config, *filter(None, [app])))


def recorded() -> dict[str, int]:
    """What `measure --record` has measured of heaps on words of 32 bits, in bytes."""
    found = budgets.load(32)["firstboot"]
    return {each.what: found[each.key] for each in _HEAPS if each.key in found}


def table(found: Mapping[str, Choice]) -> Table:
    """A row a choice."""
    result = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    result.add_column("what it takes, bytes")
    for title in ("files", ".mpy", "flash", "heap"):
        result.add_column(title, justify="right")
    result.add_column("on the board", no_wrap=True)
    for name, each in found.items():
        heap = "–" if each.heap is None else f"{each.heap:,}"
        where = "always there" if each.is_everywhere else "if asked for"
        row = [name, str(len(each.modules)), f"{each.mpy:,}", f"{each.flash:,}", heap]
        result.add_row(*row, "chosen" if each.is_made else where, style="bold" * bool(each.is_made))
    return result


def lines(config: bytes | None, app: bytes | None, bits: int) -> Iterable[str]:
    """What there is to say beside the table; `bits`: of the words that heap was weighed on."""
    yield (
        f"Heap is that of its code, on words of {bits} bits; a board loads what it needs just then,"
        " never all at once."
    )
    if config is not None:
        size = on_flash(config, app)
        rooms = (f"{size / kind.flash_size:.0%} of a new {name}'s" for name, kind in KINDS.items())
        yield f"These files take {size:,} bytes of flash: {', '.join(rooms)}."
    yield "Measured and recorded, everything counted, on words of 32 bits, as boards have:"
    for what, size in recorded().items():
        yield f"  {what}: {size:,} bytes"


def as_json(found: Mapping[str, Choice], config: bytes | None, app: bytes | None) -> str:
    """All of it for a program."""
    return json.dumps(
        {
            "choices": {name: vars(each) for name, each in found.items()},
            "flash": None if config is None else on_flash(config, app),
            "recorded": recorded(),
        },
        indent=2,
    )


def _name(path: str) -> str:
    return ".".join(Path(path).with_suffix("").parts[1:])


def _in_blocks(sizes: Iterable[int]) -> int:
    return sum(-(-size // _BLOCK) * _BLOCK for size in sizes)


def _parts(source: Path, names: Iterable[str]) -> dict[str, list[str]]:
    """The modules of each choice; each is in one."""
    names = list(names)
    begins = {
        choice: [f"firmware.{each}" for each in each_begins]
        for choice, each_begins in _BEGINS.items()
    }
    for choice, role in _ROLE_OF.items():
        begins[choice] = [name for name in names if roles.of(name.replace(".", "/") + ".") == role]
    begins[_OTHERS] = names
    parts: dict[str, list[str]] = {}
    for choice, first in begins.items():
        other = {
            name
            for another, each in begins.items()
            if another not in (choice, _OTHERS)
            for name in each
        }
        taken = other.union(*parts.values())
        parts[choice] = _reached(
            [name for name in first if name not in taken], names, taken, source
        )
    return parts


def _reached(first: list[str], names: list[str], without: set[str], source: Path) -> list[str]:
    """The modules that these come to by their imports."""
    found: list[str] = []
    waiting = list(first)
    while waiting:
        name = waiting.pop(0)
        if name in names and name not in found and name not in without:
            found.append(name)
            waiting += _imports(source / Path(*name.split(".")).with_suffix(".py"))
    return found


def _imports(module: Path) -> Iterable[str]:
    for node in ast.walk(ast.parse(module.read_bytes())):
        if isinstance(node, ast.ImportFrom):
            yield from (node.module, *(f"{node.module}.{each.name}" for each in node.names))
        elif isinstance(node, ast.Import):
            yield from (each.name for each in node.names)


def _made(config: bytes | None, app: bytes | None) -> dict[str, bool]:
    """Which choices these make; nothing of those that they say nothing of."""
    made = {_BASE: True} if config or app else {}
    if config is not None:
        given = content.config.parse(config)
        is_secure = str(given.get("server")).lower().startswith("coaps:")
        has_certificate = bool(given.get("certificate"))
        made |= {_COAPS: is_secure, _X509: is_secure and has_certificate}
        asked_for = roles.asked_for(config)
        made |= {choice: role in asked_for for choice, role in _ROLE_OF.items()}
    if app is not None:
        tree = ast.parse(app)
        imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        called = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        is_aio = "firmware.aio" in imported
        is_device = is_aio or "firmware.device" in imported
        observes = is_device and bool(called & {"on_rpc", "on_attributes"})
        made |= {_DEVICE: is_device, _OBSERVES: observes, _AIO: is_aio}
    return made
