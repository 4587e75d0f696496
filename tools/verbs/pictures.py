"""The verb `pictures`."""

from __future__ import annotations

from tools.verbs.shared import PLAIN_CODES, new_verb

verb = new_verb()


@verb.command(epilog=PLAIN_CODES)
def pictures() -> None:
    """Draw the pictures in README.md anew.

    They are SVG, in tools/pictures/, drawn from real runs and from the code itself.

    Example: python3 -m tools pictures
    """
    from tools.pictures.command import run

    run()
