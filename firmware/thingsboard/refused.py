"""What is done about what ThingsBoard answers 4.00 to. Pure. Imported only then."""

import json


def refused(backlog, probe, indicator):
    """The steps after ThingsBoard refused what a Backlog gave: each of it goes out alone, then.

    What was refused alone is dropped, and said. `probe`: the steps of an empty reading,
    which raise FirstbootError when ThingsBoard takes no JSON at all.
    """
    yield from probe
    if backlog.resource == "attributes":
        names = backlog.attributes.refused()
    else:
        queue = backlog.queue
        names = ()
        if queue.first < queue.given <= backlog.together_from:
            names = json.loads(queue.readings[0][1])
            queue.drop()
            backlog.told += 1
        backlog.together_from = max(queue.given, backlog.together_from)
    if names:
        indicator.say("dropped, since ThingsBoard answers 4.00 to it: " + ", ".join(names))
        backlog.sent()
