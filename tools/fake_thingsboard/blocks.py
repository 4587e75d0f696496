"""Block-wise transfers as Californium makes them for ThingsBoard, RFC 7959. Pure; times in ms."""

from __future__ import annotations

from typing import NamedTuple

from tools.fake_thingsboard.codec import Block, Message
from tools.fake_thingsboard.messages import Reply

CONTINUE = 0x5F  # 2.31
BAD_OPTION = 0x82  # 4.02
REQUEST_ENTITY_INCOMPLETE = 0x88  # 4.08
REQUEST_ENTITY_TOO_LARGE = 0x8D  # 4.13

LARGEST_SZX = 6  # 1024 bytes
LARGEST_BODY = 256 << 20  # bytes; what a body without Size1 is given
HEAP = 7 * LARGEST_BODY - 1  # bytes for bodies that are not complete: six without Size1, and more
LIFETIME = 300_000  # ms, from a transfer's last block


class _Upload(NamedTuple):
    body: bytes
    reserved: int  # bytes
    used_at: int


class _Download(NamedTuple):
    code: int
    body: bytes
    content_format: int | None
    used_at: int


class Transfers:
    """The transfers of all peers. `unsized`: how many began without Size1.

    Each of those takes 256 MiB of the server's heap until it is complete.
    """

    def __init__(self) -> None:
        self.unsized = 0
        self._uploads: dict[tuple, _Upload] = {}
        self._downloads: dict[tuple, _Download] = {}

    def copy(self) -> Transfers:
        """An independent copy."""
        copy = Transfers()
        copy.unsized = self.unsized
        copy._uploads = self._uploads.copy()
        copy._downloads = self._downloads.copy()
        return copy

    def snapshot(self, now: int) -> tuple:
        """What is not complete, hashable, with ages for times."""
        self._forget(now)
        return tuple(
            (key, transfer._replace(used_at=now - transfer.used_at))
            for transfers in (self._uploads, self._downloads)
            for key, transfer in transfers.items()
        )

    @property
    def reserved(self) -> int:
        """How many bytes of the heap the bodies take that are not complete."""
        return sum(upload.reserved for upload in self._uploads.values())

    def received(self, peer: tuple, request: Message, now: int) -> Message | Reply | None:
        """Take a request: give it back, whole if this was its last block; or the reply to a block.

        None: the server has no memory left for it, and does not answer.
        """
        self._forget(now)
        key = (peer, request.path, request.query)
        block = request.block2
        if block and block.number and key in self._downloads:
            code, body, content_format, _ = self._downloads.pop(key)
            return Reply(code, body, content_format)
        block = request.block1
        if block is None:
            return request
        upload = self._uploads.pop(key, None)
        if block.number == 0:
            size = request.size1
            if size is None and block.more:
                self.unsized += 1
                size = LARGEST_BODY
            if (size or 0) > LARGEST_BODY:
                return Reply(REQUEST_ENTITY_TOO_LARGE)
            if block.more and self.reserved + size > HEAP:
                return None
            upload = _Upload(b"", size or 0, now)
        elif upload is None or block.number << block.szx + 4 != len(upload.body):
            return Reply(REQUEST_ENTITY_INCOMPLETE)
        body = upload.body + request.payload
        if not block.more:
            return request._replace(payload=body)
        self._uploads[key] = upload._replace(body=body, used_at=now)
        return Reply(CONTINUE)

    def divided(
        self, peer: tuple, request: Message, reply: Reply, now: int
    ) -> tuple[Reply, Block | None, int | None]:
        """The part of a reply that answers this request, its Block2 and its Size2.

        While more is to come, the whole is kept for the requests of the next blocks.
        """
        number, szx = _asked(request)
        size = 16 << szx
        start, end = number * size, (number + 1) * size
        if is_past_the_end(request, reply):
            return reply._replace(code=BAD_OPTION, payload=b"", content_format=None), None, None
        if len(reply.payload) <= size:
            return reply, None, None
        more = end < len(reply.payload)
        if more:
            key = (peer, request.path, request.query)
            download = _Download(reply.code, reply.payload, reply.content_format, now)
            self._downloads[key] = download
        part = reply._replace(payload=reply.payload[start:end])
        return part, Block(number, more, szx), None if number else len(reply.payload)

    def _forget(self, now: int) -> None:
        for transfers in (self._uploads, self._downloads):
            for key in [key for key, each in transfers.items() if now - each.used_at >= LIFETIME]:
                del transfers[key]


def is_past_the_end(request: Message, reply: Reply) -> bool:
    """Whether a request asks for a block that the reply does not have."""
    number, szx = _asked(request)
    return number > 0 and number << szx + 4 >= len(reply.payload)


def _asked(request: Message) -> tuple[int, int]:
    """The number and size of the block that a request asks for."""
    block = request.block2
    return (block.number, min(block.szx, LARGEST_SZX)) if block else (0, LARGEST_SZX)
