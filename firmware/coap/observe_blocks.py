"""What an Observation puts off: a notification in blocks, RFC 7959 section 3.4. Pure.

Also one that came, unconfirmed, between the blocks of the registration's response.
"""

from micropython import const

from ..errors import CoapError, Silence
from .blockwise import run_alone
from .message import GET, uint
from .options import request_options

_OBSERVE = const(6)
_BLOCK2 = const(23)
_CONTENT = const(0x45)


def finish(observation, client):
    """The steps that fetch the rest of what is `partial`, and hand it over.

    When it changes meanwhile, all of it is fetched anew; when something newer comes, that counts.
    After silence, which they raise, it stays `partial` and is fetched in the next wait.
    """
    message, number = observation.partial, observation.number
    if message is None:
        _leave(observation, client)  # superseded
        return
    if message.option(_BLOCK2) is None or uint(message.option(_OBSERVE)) != number:
        # It came before there was a number.
        _leave(observation, client)
        if observation.token:
            observation.on_message(message)
        return
    options = request_options(client.name, observation.path, None, observation.options)
    try:
        message = yield from run_alone(client, GET, options, b"", message)
    except Silence:
        raise
    except CoapError:
        if observation.number != number:
            return
        _leave(observation, client)
        message = yield from client.steps(GET, observation.path, options=observation.options)
    if observation.number == number:
        _leave(observation, client)
        if observation.token and message.code == _CONTENT:
            observation.on_notification(observation, message)


def deregister(observation, client, **how):
    """The steps of an end that the server is told of (RFC 7641 section 3.6); the response.

    `how`: as for Client.steps. Whatever it raises, notifications are not taken any more. Servers
    may not answer it, as ThingsBoard does not: `forget` needs no answer.
    """
    token = observation.token
    observation.forget(client)
    options = ((_OBSERVE, b"\x01"),) + tuple(observation.options)
    return client.steps(GET, observation.path, options=options, token=token, **how)


def _leave(observation, client):
    observation.partial = None
    client.later = tuple([each for each in client.later if each is not observation])
