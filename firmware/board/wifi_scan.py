"""What networks are in range. Imported only by who has to know."""

from micropython import const

# What a scan takes at most, in s, but on a radio that is to be reset anyway.
_SCAN = const(5)


def heard(board):
    """Return the networks in range, the strongest first: (name in bytes, security, 0 for none).

    There are none while the watchdog is shorter than a scan: nothing feeds it meanwhile.
    """
    return [(name, security) for _, name, security in heard_with_strength(board)]


def heard_with_strength(board):
    """Return the same with how much weaker than 0 dBm each is in front."""
    found = []
    board.idle()
    if board.watchdog and board.watchdog < _SCAN:
        return found
    try:
        for entry in board.network.WLAN(board.network.STA_IF).scan():
            found.append((-entry[3], entry[0], entry[4]))
    except Exception:
        # Of whatever class: a radio that will not scan may join.
        pass
    return sorted(found)


def in_order(board, networks, silent):
    """Return the networks of config.json in the order in which to try them.

    First what is heard, the strongest first; then the others, which may hide their names, as they
    stand. `silent`: the one that carried nothing comes last, None for none.
    """
    names = [name for name, _ in heard(board)]
    ranked = []
    for number, wifi in enumerate(networks):
        name = wifi["name"]
        place = names.index(name) if name in names else len(names)
        ranked.append((wifi is silent, place, number))
    return [networks[number] for _, _, number in sorted(ranked)]
