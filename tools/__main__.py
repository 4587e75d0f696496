"""The front door: set up `.venv` once, then run the verb inside it.

Old Pythons read this before it can tell them that they are too old: its syntax is theirs.
"""

import os
import sys

if sys.version_info < (3, 10):
    sys.exit(
        "firstboot needs Python 3.10 or newer, and %s is Python %d.%d. Install a newer one "
        "and start this with it, for example: python3.12 -m tools"
        % (sys.executable, sys.version_info[0], sys.version_info[1])
    )

# Modules come from the project, whatever folder this was started in.
sys.path[0] = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))

from tools import set_up  # noqa: E402

if __name__ == "__main__":
    if not set_up.is_set_up():
        set_up.set_up()
        set_up.restart_inside()
    elif not set_up.is_inside():
        set_up.restart_inside()
    else:
        from tools.cli import main

        main()
