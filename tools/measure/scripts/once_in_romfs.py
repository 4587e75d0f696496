"""One exchange of a firmware in ROMFS: `once_in_romfs.py CLIENT PORT FILE`."""

import json
import os
import sys

import vfs

content = bytearray(os.stat(sys.argv[3])[6])
open(sys.argv[3], "rb").readinto(content)
vfs.mount(vfs.VfsRom(content), "/rom")
sys.path[:0] = ["/rom"]
print(json.dumps({"token": __import__(sys.argv[1]).connect(int(sys.argv[2]))()}))
