"""What each power-up of a provisioned board says: what differs or is doubtful in config.json.

A board that has just been provisioned as config.json says has none of it to say.
"""


def remarks_on(board, credentials, config):
    """Return what each power-up says of config.json, a list of lines each."""
    from firmware.board.config_doubts import all_doubts

    remarks = []
    doubtful = all_doubts(board.storage.read("/config.json"), config, board.chip)
    if doubtful:
        remarks.append(["config.json should be corrected"] + doubtful)
    server = credentials["server"]
    if config["secure"]:
        from firmware.board.config_mistakes import dangers

        for danger in dangers(config, True):
            remarks.append([danger])
        if not server.lower().startswith("coaps:"):
            remarks.append(["the board is provisioned over coap: all it sends is in the clear"])
    return remarks + _differences(credentials, config)


def _differences(credentials, config):
    server = credentials["server"]
    name = credentials["deviceName"]
    wanted = config["provisioning"]["deviceName"]
    differences = []
    if server != config["server"] and _origin(server) != config["origin"]:
        differences.append(("server", server, config["server"]))
    if name != wanted:
        differences.append(("deviceName", name, wanted))
    remarks = []
    for field, known, other in differences:
        remarks.append(
            [
                '%s is "%s" in config.json, but the board is provisioned with "%s"'
                % (field, other, known)
            ]
        )
    if differences:
        anew = [
            'To provision it anew: if ThingsBoard at %s has a device "%s", delete it there'
            " first," % (config["server"], wanted),
            "or its server attribute provisionState if devices are pre-provisioned there.",
        ]
        if len(differences) == 1 and name != wanted and _is_given(credentials, config):
            anew.append('Delete "%s" too if it has what this board asks with: no two can.' % name)
        anew.append("Then: python3 -m tools reset --credentials")
        remarks.append(anew)
    return remarks


def _is_given(credentials, config):
    """Return whether the credentials can be what config.json gives, and gives again."""
    request = config["provisioning"]
    kind = credentials["credentialsType"]
    if kind == "ACCESS_TOKEN":
        return credentials["credentialsValue"] == request["token"]
    return kind == request["credentialsType"] or (config["certificate"] and kind[:4] == "X509")


def _origin(server):
    from firmware.coap.uri import origin

    return origin(server)
