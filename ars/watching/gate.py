"""The way to a page: serves it at one address, and to those alone who may see it.

The server of the page listens on a port that this machine alone can reach. The gate takes every
connection, reads the head of its first request and, if that may pass, hands on bytes both ways.
On the loopback address the name of the host must be this machine's, which keeps out pages of other
origins; elsewhere a token is needed, once in the address and from then on as a cookie. What runs on
this machine can also reach the port behind the gate, which is another one each time: its programs,
and the pages in its browsers, if they find it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

from ars.common.errors import UsageError

LOOPBACK = ("127.0.0.1", "localhost", "::1")
COOKIE = "ars-token"  # and the port: browsers send a host's cookies to all of its ports
_LONGEST_HEAD = 2**16
_SECONDS = 20.0  # for a head to arrive


class Gate:
    """Serves one page.

    Args:
        host: the address to listen on.
        port: likewise; 0: any that is free.
        behind: the port of the page's server.

    Attributes:
        address: of the page, for a browser.

    Raises:
        UsageError: it cannot listen there.
    """

    def __init__(self, host: str, port: int, behind: int) -> None:
        self._host, self._behind = host, behind
        self.token = None if host in LOOPBACK else secrets.token_urlsafe(16)
        self._loop = asyncio.new_event_loop()
        try:
            self._server = self._loop.run_until_complete(
                asyncio.start_server(self._serve, host, port, limit=_LONGEST_HEAD)
            )
        except (OSError, OverflowError) as error:
            self._loop.close()
            number = getattr(error, "errno", None)
            if isinstance(error, socket.gaierror) or number == errno.EADDRNOTAVAIL:
                raise UsageError(f"`host` {host}: is no address of this machine") from None
            raise UsageError(
                f"`port` {port}: cannot be listened on at {host} "
                f"({getattr(error, 'strerror', None) or error}); `port` 0 takes any that is free"
            ) from None
        self._port = self._server.sockets[0].getsockname()[1]
        self._cookie = f"{COOKIE}-{self._port}={self.token}"
        shown = f"[{host}]" if ":" in host else host
        query = "" if self.token is None else f"?token={self.token}"
        self.address = f"http://{shown}:{self._port}/{query}"
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = OSError, EOFError, ValueError, asyncio.LimitOverrunError, asyncio.CancelledError
        try:
            with contextlib.suppress(*ends):
                head = await asyncio.wait_for(self._head(reader), _SECONDS)
                answer = self._answer(head.decode("latin-1"))
                if answer is not None:
                    writer.write(answer.encode())
                    await writer.drain()
                else:
                    await self._pass(head, reader, writer)
        finally:
            with contextlib.suppress(OSError):
                writer.close()

    async def _head(self, reader: asyncio.StreamReader) -> bytes:
        return await reader.readuntil(b"\r\n\r\n")

    def _answer(self, head: str) -> str | None:
        """What is answered to a request's head; None if it may pass."""
        lines = head.split("\r\n")
        target = [*lines[0].split(" "), ""][1]
        fields = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            fields[name.strip().lower()] = value.strip()
        host = fields.get("host", "")
        origin = fields.get("origin")  # "null" of a page without one, such as a sandboxed frame
        if origin is not None and urlsplit(origin).netloc != host:
            return _refusal("another page asks for this one")
        if self.token is None:
            name = host.rsplit(":", 1)[0].strip("[]") if ":" in host else host
            return None if name in LOOPBACK else _refusal("this page is for this machine alone")
        given = parse_qs(urlsplit(target).query).get("token", [""])[0]
        if secrets.compare_digest(given.encode(), self.token.encode()):
            cookie = f"{self._cookie}; HttpOnly; SameSite=Strict; Path=/"
            return _response("303 See Other", f"Location: /\r\nSet-Cookie: {cookie}\r\n", "")
        cookies = (part.strip() for part in fields.get("cookie", "").split(";"))
        if any(secrets.compare_digest(one.encode(), self._cookie.encode()) for one in cookies):
            return None
        return _refusal("open the address that ars watch printed, with its token")

    async def _pass(
        self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Hand on bytes both ways until either side ends."""
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._behind)
        # One request a connection, but for the page's socket: each is looked at.
        if b"upgrade: websocket" not in head.lower():
            head = head[:-2] + b"Connection: close\r\n\r\n"
        inner_writer.write(head)
        ways = [
            asyncio.ensure_future(_copy(reader, inner_writer)),
            asyncio.ensure_future(_copy(inner_reader, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            inner_writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(2**16):
            writer.write(data)
            await writer.drain()


def _refusal(why: str) -> str:
    return _response("403 Forbidden", "", f"{why}\n")


def _response(status: str, fields: str, body: str) -> str:
    return (
        f"HTTP/1.1 {status}\r\n{fields}Content-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body.encode())}\r\nConnection: close\r\n\r\n{body}"
    )


@contextmanager
def gate(host: str, port: int, behind: int) -> Iterator[Gate]:
    """A gate for the block. Raises: UsageError."""
    opened = Gate(host, port, behind)
    try:
        yield opened
    finally:
        opened.close()
