"""The verb `test`."""

from __future__ import annotations

import os

import typer

from tools.program import IS_CHECKOUT
from tools.verbs.shared import end, new_verb

verb = new_verb()


@verb.command(
    epilog="Exit codes: pytest's. 0 is all passed, 1 is that some failed.",
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    options_metavar="[PYTEST OPTIONS]",
)
def test(context: typer.Context) -> None:
    """Run the tests.

    Every argument goes to pytest, which runs in the project's folder, in four processes, since many
    tests wait, unless -n or -p no:xdist says otherwise, or a debugger is asked for.

    Example: python3 -m tools test -x -k provisioning
    """
    import sys

    if not IS_CHECKOUT:
        end("The tests are not installed: run them in a checkout of the project")
    from tools.set_up import EXTRAS, ROOT, add

    add(*EXTRAS)
    import pytest

    from tools.terminal import unguarded

    os.chdir(ROOT)
    sys.stdout, sys.stderr = unguarded(sys.stdout), unguarded(sys.stderr)
    arguments = context.args
    if not _chooses_processes(arguments):
        arguments = ["-n", "4", "--dist", "worksteal", *arguments]
    raise typer.Exit(pytest.main(arguments))


def _chooses_processes(arguments: list[str]) -> bool:
    """Whether arguments of pytest say how many processes there are, or need a single one."""
    chosen = ("-n", "--numprocesses", "--maxprocesses", "--pdb", "--trace", "-pno:xdist")
    return "-p no:xdist" in " ".join(arguments) or any(
        each.startswith(chosen) for each in arguments
    )
