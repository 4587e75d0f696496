"""How many bits MicroPython's words have, and whether it has ROMFS."""

import json
import sys

import vfs

bits = 64 if sys.maxsize > 1 << 32 else 32
print(json.dumps({"bits": bits, "romfs": hasattr(vfs, "VfsRom")}))
