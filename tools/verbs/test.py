"""The verb `test`."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from tools.program import IS_CHECKOUT
from tools.verbs.shared import end, new_verb

verb = new_verb()


@verb.command(
    epilog="Exit codes: pytest's. 0 is all passed, 1 is that some failed.",
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    options_metavar="[PYTEST OPTIONS]",
)
def test(
    context: typer.Context,
    processes: Annotated[
        int, typer.Option("-n", metavar="N", help="So many processes, where the system can fork.")
    ] = 6,
) -> None:
    """Run the tests.

    Every other argument goes to pytest, which runs in the project's folder: in one process where
    -n says so or a debugger is asked for, else in several, since many tests wait.

    Example: python3 -m tools test -x -k provisioning
    """
    import sys

    if not IS_CHECKOUT:
        end("The tests are not installed: run them in a checkout of the project")
    from tools.set_up import EXTRAS, ROOT, add

    add(*EXTRAS)
    import pytest

    from host_tests.forked import Forked
    from tools.terminal import unguarded

    os.chdir(ROOT)
    sys.stdout, sys.stderr = unguarded(sys.stdout), unguarded(sys.stderr)
    is_debugged = any(each.startswith(("--pdb", "--trace")) for each in context.args)
    is_forked = processes > 1 and hasattr(os, "fork") and not is_debugged
    raise typer.Exit(pytest.main(context.args, plugins=[Forked(processes)] if is_forked else []))
