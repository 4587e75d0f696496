"""A board that is on and asks for its credentials, in a World: what tests of the attempt share."""

from firmware.board import config as configuration
from firmware.errors import NoResponse
from firmware.provisioning.attempt import Attempt
from firmware.provisioning.tidying import finish
from host_tests.firmware.helpers import raises
from host_tests.firmware.world import World, example

DEVICE = "sensor-a1b2c3d4e5f6"
OTHER = "192.0.2.2"
ATTEMPT = "/attempt.json"
CREDENTIALS = "/credentials.json"


class Device:
    """A world with a board that is on, and the configuration that it has read."""

    def __init__(self, config=True):
        self.world = World(config)
        self.server = self.world.server
        self.power_on()

    def power_on(self):
        self.attempt = Attempt(self.world.new_board())

    def run(self):
        """One try, and what is left to do after it."""
        board = self.world.board
        config = configuration.load(board)
        self.attempt.prepare(config)
        self.attempt.run(config)
        credentials = self.attempt.save()
        finish(board, credentials)
        return credentials

    def fail(self, error):
        """One try, which ends with this error."""
        return raises(error, self.run)

    def configure(self, **changes):
        self.world.put("/config.json", example(**changes))

    @property
    def saved(self):
        return self.world.get(ATTEMPT)

    def lose_reply(self):
        """One try that the server executes, and whose reply is lost."""
        self.server.mute = True
        self.fail(NoResponse)
        self.server.mute = False

    def forget(self):
        """Let the server forget the Message IDs that it has seen."""
        self.world.clock.sleep_ms(247_000)

    @property
    def proposed(self):
        """The tokens in the saved attempt."""
        return [each["token"] for each in self.saved["tokens"]]
