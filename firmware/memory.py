"""Memory given back: a step's modules, when the step is done."""

import sys

# A few texts, since one for each name costs a board four times the memory, and what all of them in
# one are split into as much for a moment.
_STEPS = (
    "board.config board.config_doubts board.config_mistakes board.credentials board.failure",
    "board.hostname board.json_mistakes board.kept board.near board.strict_json board.wifi",
    "board.wifi_scan coap.block coap.blockwise coap.echo coap.failure coap.uri coap.uri_doubts",
    "thingsboard.answers thingsboard.provisioning thingsboard.refusals thingsboard.refused",
    "provisioning.attempt provisioning.preparation provisioning.record provisioning.record_file",
    "provisioning.recovery provisioning.rejection provisioning.tidying",
    "provisioning.found failures link board.modulus",
)
# What speaks CoAP, while nothing is asked.
CLIENT = "coap.client coap.connect coap.exchange coap.options coap.udp"


def give_back(*steps):
    """Free the modules of the steps that are done, of all steps unless some are named.

    `steps`: texts with the modules' names in the firmware. A module is in sys.modules, and in its
    package's names; out of both, its memory is free.
    """
    for some in steps or _STEPS:
        for step in some.split():
            module = "firmware." + step
            if sys.modules.pop(module, None):
                package, _, name = module.rpartition(".")
                delattr(sys.modules[package], name)


def drop_half_loaded():
    """Let a module be imported again that there was no memory for.

    MicroPython leaves the name of one in sys.modules with nothing behind it, and the next import of
    it would end MicroPython. Takes no memory.
    """
    name = True
    while name:
        name = None
        for each in sys.modules:
            # It says None of nothing, too.
            if sys.modules.get(each) is None:
                name = each
        sys.modules.pop(name, None)


def give_back_room(room, but=""):
    """Free all modules of a room of the firmware, such as "onboarding", `but` for these."""
    start = "firmware.%s." % room
    for name in list(sys.modules):
        if name.startswith(start) and name[len(start) :] not in but.split():
            give_back(name[len("firmware.") :])
    if not but:
        give_back(room)
