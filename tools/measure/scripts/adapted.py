"""firmware/coap with microCoAPy as its codec."""

from firmware.coap import microcoapy

microcoapy.install()

from firstboot import connect  # noqa: E402, F401
