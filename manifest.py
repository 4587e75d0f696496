# ruff: noqa: F821 - the names are those of MicroPython's manifest files
# Freezes the firmware into MicroPython: make BOARD=… FROZEN_MANIFEST=/path/to/this/manifest.py
include("$(PORT_DIR)/boards/manifest.py")
package("firmware")
module("main.py")
