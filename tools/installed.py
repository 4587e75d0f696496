"""The command `firstboot` of an installed package, which this file is the beginning of.

The package holds tools/ and firmware/ as they stand in the project, and puts itself in front of
where modules come from: they are called there what they are called here.
"""

import os
import sys


def main() -> None:
    """Run the verb that the command line names."""
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    from tools.cli import main as run

    run()
