"""A console with colours and bars, on which no control character of a text is one."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import rich.console
from rich.progress import Progress
from rich.segment import Segment

from tools.terminal import printable, unguarded


class Console(rich.console.Console):
    """rich's console; `stderr`: on standard error."""

    def __init__(self, stderr: bool = False, **options: Any):
        stream = sys.stderr if stderr else sys.stdout
        super().__init__(file=unguarded(stream), **{"highlight": False, **options})

    def render(self, *arguments: Any, **options: Any) -> Iterable[Segment]:
        """As rich's, with what is no sequence of its own spelt out."""
        for segment in super().render(*arguments, **options):
            if segment.control:
                yield segment
            else:
                yield Segment(printable(segment.text), segment.style)


def progress_bars() -> Progress:
    """Bars on standard error, which vanish at their end; none where that is no terminal."""
    console = Console(stderr=True)
    return Progress(console=console, transient=True, disable=not console.is_terminal)
