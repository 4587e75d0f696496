"""What a board has in ROM, on MicroPython: mount the flash, run boot.py and main.py.

Everything that comes from the host is imported before the host's files are unmounted.
"""

import sys

import block_device
import board_os
import board_sys
import clock
import machine  # noqa: F401 - found by the firmware in sys.modules, as network is
import network  # noqa: F401
import power_on
import sockets
import supervisor
import vfs

settings = supervisor.settings
geometry = settings["geometry"]
if settings["repl"]:
    import repl
sys.modules["os"] = board_os
sys.modules["socket"] = sockets
sys.modules["sys"] = board_sys
if supervisor.scenario["ticks_start"] is not None:
    import ticks

    clock.clock.host = ticks.Time(supervisor.scenario["ticks_start"])
sys.modules["time"] = clock.clock
if supervisor.scenario["romfs"]:
    import board_vfs

    sys.modules["vfs"] = board_vfs
if settings["kind"] == "esp32":
    import esp32_errno

    sys.modules["errno"] = esp32_errno


def mount():
    """Mount the flash in place of the host's files; SystemExit when it holds no file system."""
    image = open(settings["flash"], "r+b")
    device = block_device.BlockDevice(image, geometry["block_size"], geometry["block_count"])
    try:
        flash = vfs.VfsLfs2(device, progsize=geometry["prog_size"])
    except OSError:
        flash = vfs.VfsFat(device)
    vfs.umount("/")
    try:
        vfs.mount(flash, "/")
    except OSError:
        supervisor.tell("unmountable")
        sys.exit(1)
    sys.path[:] = ["", ".frozen", "/lib"]
    sys.argv[:] = []


mount()
if supervisor.scenario["romfs"]:
    board_vfs.mount_rom(sys.path)
try:
    with open("/config.json") as config_file:
        supervisor.put_default_network_in_range(config_file)
except OSError:
    supervisor.scenario["networks"] = supervisor.scenario["networks"] or []
if settings["repl"]:
    repl.run(settings["repl"], globals())
else:
    power_on.run(execfile)
