"""CoAPthon3, as in ThingsBoard's guide, many exchanges: `coapthon_client.py PORT BODY TIMES`."""

import json
import sys
import time

from coapthon.client.helperclient import HelperClient

port, body, times = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
client = HelperClient(server=("127.0.0.1", port))
found = []
for _ in range(times):
    began = time.perf_counter()
    response = client.post("api/v1/provision", body, timeout=5)
    json.loads(response.payload)["credentialsValue"]
    found.append((time.perf_counter() - began) * 1e6)
client.stop()
print(json.dumps({"us": found}))
