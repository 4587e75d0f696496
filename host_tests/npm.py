"""What tests need of the npm registry: named exactly in npm_packages.txt, kept in .venv/npm."""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest

from tools.set_up import VENV

_LIST = Path(__file__).with_name("npm_packages.txt")
_FOLDER = Path(VENV, "npm")
_TIMEOUT_S = 60


def node() -> str:
    """Node's command. Skips the test where there is none."""
    found = shutil.which("node")
    if not found:
        pytest.skip("node is not on this computer")
    return found


def package(name: str) -> Path:
    """The folder of a package, fetched once, by itself. Skips the test where that cannot be."""
    (pinned,) = (line for line in _LIST.read_text("utf-8").split() if line.startswith(f"{name}@"))
    kept = _FOLDER / pinned
    if not kept.is_dir():
        npm = shutil.which("npm")
        if not npm:
            pytest.skip("npm is not on this computer")
        _fetch(npm, pinned, kept)
    assert json.loads((kept / "package.json").read_text("utf-8"))["version"] in pinned
    return kept


def _fetch(npm: str, pinned: str, kept: Path) -> None:
    _FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_FOLDER) as folder:
        command = [npm, "pack", "--silent", "--pack-destination", folder, pinned]
        try:
            done = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, timeout=_TIMEOUT_S
            )
        except subprocess.TimeoutExpired:
            pytest.skip(f"npm has not fetched {pinned} within {_TIMEOUT_S} s")
        if done.returncode:
            pytest.skip(f"npm cannot fetch {pinned}: {done.stderr.strip()[-200:]}")
        (packed,) = Path(folder).glob("*.tgz")
        with tarfile.open(packed) as archive:
            archive.extractall(folder, filter="data")
        try:
            Path(folder, "package").rename(kept)
        except OSError:
            assert kept.is_dir()  # another process was faster
