"""The request that every client sends."""

FIELDS = {
    "deviceName": "meter-24dcc399a4e8",
    "provisionDeviceKey": "0123456789abcdefghij",
    "provisionDeviceSecret": "jihgfedcba9876543210",
}
