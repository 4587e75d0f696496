"""Options beside those that every request has. Pure; imported only for them."""


def merge(options, more):
    """Return options, (number, value) in ascending order, with others put where they belong.

    Those of one number stay in their order (RFC 7252 section 3.1).
    """
    merged = list(options)
    for option in more:
        place = len(merged)
        while place and merged[place - 1][0] > option[0]:
            place -= 1
        merged.insert(place, option)
    return merged
