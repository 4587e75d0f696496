# ruff: noqa: F821 - the names are those of MicroPython's manifest files
# Freezes the firmware into MicroPython, beside what the board has frozen without it:
# make BOARD=… FROZEN_MANIFEST=/path/to/this/manifest.py
try:
    include("$(BOARD_DIR)/manifest.py")
except Exception as error:
    if "No such file" not in str(error):
        raise
    include("$(PORT_DIR)/boards/manifest.py")
package("firmware")
module("main.py")
