"""Steps: generators that yield how long to wait for a datagram, in ms, and are sent it, or None."""


def drive(steps, receive):
    """Run steps to their end; return what they return.

    `receive(timeout)`: waits so long, or for less; returns a datagram, or None.
    """
    try:
        timeout = next(steps)
        while True:
            try:
                datagram = receive(timeout)
            except Exception as error:
                timeout = steps.throw(error)
            else:
                timeout = steps.send(datagram)
    except StopIteration as end:
        return end.value
