"""A Pico W's MicroPython that was built with a ROMFS, as README says: flashed, and run from there.

PICO_W_ROMFS_IMAGE names its .uf2.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from host_tests.flash_bench import FIRMWARE, Heard
from host_tests.power_up_bench import config_for
from tools.flash import board as flashing
from tools.flash import romfs
from tools.flash.board import Job
from tools.flash.link import Link
from tools.mpy import compiled
from tools.pico_w.flash_file import make_erased
from tools.pico_w.image import find_image
from tools.pico_w.serial_board import SerialPicoW
from tools.virtual_board.flash import PROJECT

IMAGE = os.environ.get("PICO_W_ROMFS_IMAGE", "")
if not IMAGE:
    pytest.skip("left out: PICO_W_ROMFS_IMAGE names no image", allow_module_level=True)

# A part of the firmware: each page takes the emulator some time.
PART = {
    path: content
    for path, content in FIRMWARE.items()
    if "/coap/" in path or path in ("/boot.py", "/main.py", "/firmware/errors.mpy")
}
ASK = """
import firmware.errors, gc, os
gc.collect()
free = gc.mem_free()
import firmware.coap.client
gc.collect()
print((firmware.errors.__file__, "firmware" in os.listdir("/"), free - gc.mem_free()))
"""


def test_the_firmware_runs_from_the_romfs_of_a_pico_w(tmp_path):
    flash = tmp_path / "flash.img"
    make_erased(flash)
    heard = Heard()
    asked = []
    newer = Path(PROJECT, "firmware/errors.py").read_bytes() + b"new = 1\n"
    with SerialPicoW(flash, find_image(Path(IMAGE)), tmp_path / "port") as board:

        def put(firmware: dict[str, bytes]) -> None:
            config = json.dumps(config_for("coap://10.0.0.1")).encode()
            job = Job(config=config, firmware=firmware, start=False)
            result = flashing.flash(str(board.link), job, heard)
            assert (result.result, result.detail) == ("flashed", "")
            with Link(str(board.link)) as link:
                asked.append(link.value(ASK))

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(romfs, "find", lambda link: None)
            put(PART)
        put(PART)
        put({**PART, "/firmware/errors.mpy": compiled(newer, "firmware/errors.py")})
        with Link(str(board.link)) as link:
            assert link.value("import firmware.errors\nprint(firmware.errors.new)") == 1
            assert not romfs.find(link).is_foreign
    on_files, in_rom, again = asked
    assert on_files[:2] == ("firmware/errors.mpy", True)
    assert in_rom[:2] == again[:2] == ("/rom/firmware/errors.mpy", False)
    assert in_rom[2] < 0.6 * on_files[2]
