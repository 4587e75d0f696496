"""aiocoap, many exchanges with one context: `aiocoap_client.py PORT BODY TIMES`."""

import asyncio
import json
import sys
import time

import aiocoap


async def main(port: int, body: bytes, times: int) -> None:
    context = await aiocoap.Context.create_client_context()
    found = []
    for _ in range(times):
        began = time.perf_counter()
        request = aiocoap.Message(
            code=aiocoap.POST,
            uri=f"coap://127.0.0.1:{port}/api/v1/provision",
            payload=body,
            content_format=50,
        )
        response = await context.request(request).response
        json.loads(response.payload)["credentialsValue"]
        found.append((time.perf_counter() - began) * 1e6)
    await context.shutdown()
    print(json.dumps({"us": found}))


asyncio.run(main(int(sys.argv[1]), sys.argv[2].encode(), int(sys.argv[3])))
