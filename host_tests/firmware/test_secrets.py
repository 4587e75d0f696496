"""No secret on any console, wherever in config.json, or on the flash, somebody put it."""

import json

from firmware.board import config as configuration
from firmware.errors import FirstbootError
from host_tests.firmware.secrets import MARK, broken, is_told, misplaced
from host_tests.firmware.world import World

CREDENTIALS = {
    "server": "coap://elsewhere.example.com",
    "deviceName": "another",
    "credentialsType": "ACCESS_TOKEN",
    "credentialsValue": MARK,
}


def drawing(seed):
    """Return a function that draws a number below one that it is given."""
    state = [seed]

    def draw(below):
        state[0] = (state[0] * 1103515245 + 12345) & 0x7FFFFFFF
        return (state[0] >> 16) % below

    return draw


def powered_up(content, credentials):
    """Power a board up with these files, and look at all that it prints and raises."""
    world = World(content)
    if credentials:
        world.put("/credentials.json", credentials)
    try:
        # So that what it asks for is answered, and told.
        world.power_up(tries=2)
        error = ""
    except Exception as raised:
        error = repr(raised) + str(raised)
    assert not is_told("\n".join(world.lines) + error), (content, world.lines, error)
    for provisioned in (False, True):
        try:
            configuration.load(world.new_board(), provisioned)
        except FirstbootError as raised:
            assert not is_told(str(raised)), (content, str(raised))
    return world


def test_a_secret_in_the_wrong_place():
    for content in misplaced():
        for credentials in (None, CREDENTIALS):
            powered_up(content, credentials)


def test_a_secret_in_what_is_no_json():
    told = 0
    for content in broken(drawing(7), 80):
        for credentials in (None, CREDENTIALS):
            world = powered_up(content, credentials)
            told += bool(world.find("config.json"))
    assert told > 80


def test_a_secret_in_files_that_are_not_the_firmwares():
    whole = json.dumps(CREDENTIALS)
    for path in ("/credentials.json", "/attempt.json", "/credentials.json.new"):
        for content in (whole[:-3], whole[5:], "[%s]" % whole, '"%s"' % MARK, MARK):
            world = World()
            world.put(path, content.encode())
            world.power_up(tries=2)
            assert not is_told("\n".join(world.lines)), world.lines
