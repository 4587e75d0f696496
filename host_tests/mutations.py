"""Changes the firmware in one place at a time, and sees whether a test of it notices.

    .venv/bin/python -m host_tests.mutations [MODULE …]

Outside of the suite: it takes minutes, and forks, which Windows does not. A mutant is one
operator, constant or statement changed, in memory; the tests are those of host_tests/firmware, on
CPython, in a process of their own with a limit of time. What survives is listed, unless
UNNOTICEABLE says why no test can notice it.
"""

from __future__ import annotations

import ast
import contextlib
import copy
import importlib
import importlib.abc
import importlib.util
import os
import resource
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from tools import shims

ROOT = Path(__file__).resolve().parent.parent
# How long a mutant's tests may run at all, and how often the processor's time that they take.
LIMIT_S, TIMES = 60, 4
ENOUGH = 0.95
# The modules, and the tests that are about each.
TESTS = {
    "firmware.board.certificate": ("certificate",),
    "firmware.board.credentials": ("credentials",),
    "firmware.board.modulus": ("signature", "config"),
    "firmware.board.security_steps": ("security", "aio", "device_aio"),
    "firmware.board.storage": ("storage", "credentials"),
    "firmware.board.strict_json": ("strict_json", "config"),
    "firmware.board.wifi_scan": ("wifi", "candidate"),
    "firmware.coap.block": ("blockwise", "stream"),
    "firmware.coap.blockwise": ("blockwise", "client", "requests", "stream", "observe"),
    "firmware.coap.exchange": ("exchange", "client", "blockwise", "requests"),
    "firmware.coap.links": ("links",),
    "firmware.coap.message": ("message",),
    "firmware.coap.misfit": ("blockwise", "stream"),
    "firmware.coap.options": ("requests",),
    "firmware.coap.observe": ("observe",),
    "firmware.coap.observe_blocks": ("observe",),
    "firmware.coap.percent": ("whole_uri", "client"),
    "firmware.coap.blocks": ("stream",),
    "firmware.coap.stream": ("stream",),
    "firmware.coap.unconfirmed": ("requests",),
    "firmware.coap.uri": ("uri", "client"),
    "firmware.coap.uri_doubts": ("uri", "config"),
    "firmware.coap.whole_uri": ("whole_uri",),
    "firmware.provisioning.attempt": ("attempt", "edits", "secure_attempt", "rejection"),
    "firmware.provisioning.record": (
        "credentials",
        "edits",
        "attempt",
        "secure_attempt",
        "rejection",
    ),
    "firmware.provisioning.rejection": ("rejection",),
    "firmware.thingsboard.ota": ("ota", "update"),
    "firmware.thingsboard.provisioning": ("provisioning", "attempt"),
    "firmware.thingsboard.rpc": ("rpc", "device"),
    "firmware.update.admission": ("install", "signature"),
    "firmware.update.checksum": ("checksum",),
    "firmware.update.contents": ("install", "update"),
    "firmware.update.download": ("install", "update"),
    "firmware.update.files": ("install", "update"),
    "firmware.update.install": ("install", "update"),
    "firmware.update.installing": ("update",),
    "firmware.update.intake": ("install", "signature"),
    "firmware.update.job": ("update",),
    "firmware.update.manifest": ("install", "signature"),
    "firmware.update.slots": ("slots", "install", "trial"),
    "firmware.update.states": ("update",),
    "firmware.update.transfer": ("update",),
    "firmware.update.tree": ("slots", "install"),
    "firmware.update.trial": ("trial",),
    "firmware.update.watch": ("update",),
}
# What no test can notice: the change as it is shown, and why.
UNNOTICEABLE = {
    "response = None  →  pass": "every request begins with start(), which sets it",
    "datagram = memoryview(datagram)  →  pass": "it saves memory, and changes nothing else",
    "er': self.server, 'address': '', 'deviceName': self.name, 't  →  "
    "er': self.server, 'address': 'X', 'deviceName': self.name, 't": "go_to sets it before a save",
    "strip('0123456789')) else 65536  →  strip('0123456789')) else 65537": "too large as well",
    "name = uri.partition('://')[2]  →  name = uri.partition('://X')[2]": "it saves time alone",
    "if name[:1].isalpha() and len(name.encod  →  if name[:2].isalpha() and len(name.encod": (
        "it saves time alone"
    ),
    "address'] + found['body'] + '.']  →  address'] + found['body'] + '.X']": "any text will do",
    "'token'], each['address'] + '.')  →  'token'], each['address'] + '.X')": "any text will do",
}

_MEMORY = 1 << 30
_AROUND = 30
_STATEMENTS = (ast.Expr, ast.Assign, ast.AugAssign, ast.Raise, ast.Break, ast.Continue)
_SWAPPED = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitAnd,
}


class _Mutated(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds a module's mutant in place of the module."""

    def __init__(self, module: str, tree: ast.Module):
        self._module = module
        self._code = compile(ast.fix_missing_locations(tree), module, "exec")

    def find_spec(self, name, path=None, target=None):
        return importlib.util.spec_from_loader(name, self) if name == self._module else None

    def exec_module(self, module):
        exec(self._code, module.__dict__)


def mutants(tree: ast.Module) -> Iterator[tuple[int, str, ast.Module]]:
    """Each mutant of a module, with the line's number and what shows the change."""
    for number, node in enumerate(ast.walk(tree)):
        for change in _changes(node):
            mutant = copy.deepcopy(tree)
            changed = next(each for at, each in enumerate(ast.walk(mutant)) if at == number)
            statement = _statement(mutant, changed)
            before = ast.unparse(statement).splitlines()
            change(changed)
            after = ast.unparse(statement).splitlines()
            at = next((n for n, each in enumerate(before) if after[n : n + 1] != [each]), 0)
            yield node.lineno, _shown(before[at].strip(), after[at].strip()), mutant


def _shown(before: str, after: str) -> str:
    """What changed in a line, of a long one with a little of what is around it."""
    start = max(0, _same(before, after) - _AROUND)
    end = max(0, _same(before[::-1], after[::-1]) - _AROUND)
    if len(before) < 2 * _AROUND:
        start = end = 0
    return f"{before[start : len(before) - end]}  →  {after[start : len(after) - end]}"


def _same(one: str, other: str) -> int:
    """How many characters two texts begin with alike."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((number for number, (a, b) in pairs if a != b), min(len(one), len(other)))


def _changes(node: ast.AST):
    """The ways to change a node, each a function that does it in place."""
    if isinstance(node, ast.Compare):
        yield lambda each: each.ops.__setitem__(0, _SWAPPED[type(each.ops[0])]())
    elif isinstance(node, (ast.BoolOp, ast.BinOp, ast.AugAssign)) and type(node.op) in _SWAPPED:
        yield lambda each: setattr(each, "op", _SWAPPED[type(each.op)]())
    elif isinstance(node, ast.Constant):
        value = node.value
        if isinstance(value, bool):
            yield lambda each: setattr(each, "value", not each.value)
        elif isinstance(value, int):
            yield lambda each: setattr(each, "value", each.value + 1)
        elif isinstance(value, str) and len(value.split()) < 2:  # more words are for people
            yield lambda each: setattr(each, "value", each.value + "X")
        elif isinstance(value, bytes):
            yield lambda each: setattr(each, "value", each.value + b"X")
    if isinstance(node, (ast.If, ast.While, ast.IfExp)):
        yield lambda each: setattr(each, "test", ast.UnaryOp(ast.Not(), each.test))
    if isinstance(node, ast.Return) and not isinstance(node.value, (ast.Constant, type(None))):
        yield lambda each: setattr(each, "value", ast.Constant(None))
    is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    if isinstance(node, _STATEMENTS) and not is_text:
        yield _delete
    if isinstance(node, ast.ExceptHandler) and isinstance(node.type, ast.Tuple):
        for place in range(len(node.type.elts)):
            yield lambda each, place=place: each.type.elts.pop(place)


def _delete(statement: ast.stmt) -> None:
    """Make a statement one that does nothing."""
    statement.__class__ = ast.Pass
    statement._fields = ()


def _statement(tree: ast.Module, node: ast.AST) -> ast.AST:
    """The innermost statement that a node is in."""
    found = tree
    for each in ast.walk(tree):
        if isinstance(each, ast.stmt) and any(inner is node for inner in ast.walk(each)):
            found = each
    return found


def notices(module: str, tree: ast.Module, cpu_s: float = LIMIT_S) -> bool:
    """Whether a test fails, or takes longer, with this in place of a module."""
    child = os.fork()
    if not child:
        signal.alarm(LIMIT_S)
        signal.setitimer(signal.ITIMER_PROF, cpu_s)
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        sys.stdout = sys.stderr = open(os.devnull, "w")
        code = 1
        with contextlib.suppress(BaseException):
            sys.meta_path.insert(0, _Mutated(module, tree))
            _run(TESTS[module])
            code = 0
        os._exit(code)
    return os.waitpid(child, 0)[1] != 0


def _run(names: tuple[str, ...]) -> None:
    from host_tests.firmware.helpers import Skip

    for name in names:
        tests = importlib.import_module(f"host_tests.firmware.test_{name}")
        for test in [each for each in dir(tests) if each.startswith("test_")]:
            with contextlib.suppress(Skip):
                getattr(tests, test)()


def main(modules: list[str]) -> int:
    """Print what survives in each module and the score; 0 when it is enough everywhere."""
    is_enough = True
    for module in modules or TESTS:
        path = ROOT / (module.replace(".", "/") + ".py")
        tree = ast.parse(path.read_text(encoding="utf-8"))
        before = os.times()
        if notices(module, tree):
            print(f"{module}: its tests fail as it is")
            return 1
        after = os.times()
        cpu_s = TIMES * (after.children_user - before.children_user) + 1
        count = survived = named = 0
        for line, shown, mutant in mutants(tree):
            count += 1
            if not notices(module, mutant, cpu_s):
                why = UNNOTICEABLE.get(shown)
                survived += why is None
                named += why is not None
                print(f"{path.name}:{line}: {shown}" + (f"  ({why})" if why else ""), flush=True)
        score = 1 - survived / (count - named)
        is_enough = is_enough and score >= ENOUGH
        of = f"{count - named} mutants are noticed, and {named} cannot be"
        print(f"{module}: {score:.1%} of {of}", flush=True)
    return not is_enough


if __name__ == "__main__":
    shims.install()
    sys.exit(main(sys.argv[1:]))
