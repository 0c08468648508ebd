"""Who may see a page: this machine, or who has the token."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from ars.common.errors import UsageError
from ars.watching.gate import COOKIE, gate


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"the page")

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def behind() -> Iterator[int]:
    """The port of a page's server."""
    server = HTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


def get(port: int, path: str = "/", **fields: str) -> tuple[int, str, str | None]:
    """A response's status, text and cookie."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", path, headers=fields)
    response = connection.getresponse()
    found = response.status, response.read().decode(), response.getheader("Set-Cookie")
    connection.close()
    return found


def port_of(address: str) -> int:
    return int(address.split(":")[2].split("/")[0])


def test_this_machine_sees_the_page_and_other_names_do_not(behind: int) -> None:
    with gate("127.0.0.1", 0, behind) as opened:
        port = port_of(opened.address)
        assert opened.token is None
        assert get(port)[:2] == (200, "the page")
        assert get(port, Host=f"localhost:{port}")[0] == 200
        assert get(port, Host=f"evil.example:{port}")[0] == 403
        assert get(port, Origin="http://evil.example")[0] == 403
        assert get(port, Origin="null")[0] == 403  # of a sandboxed frame
        assert get(port, Origin=f"http://127.0.0.1:{port}")[0] == 200


def test_a_head_without_end_is_dropped_without_a_word(
    behind: int, capfd: pytest.CaptureFixture[str]
) -> None:
    with gate("127.0.0.1", 0, behind) as opened:
        port = port_of(opened.address)
        with pytest.raises((http.client.HTTPException, OSError)):
            get(port, More="x" * 200_000)
        assert get(port)[0] == 200
    assert capfd.readouterr().err == ""


def test_elsewhere_the_token_is_needed(behind: int) -> None:
    with gate("0.0.0.0", 0, behind) as opened:
        port = port_of(opened.address)
        assert get(port) == (403, "open the address that ars watch printed, with its token\n", None)
        assert get(port, "/?token=wrong")[0] == 403
        assert get(port, Cookie=f"{COOKIE}=wrong")[0] == 403
        status, _, cookie = get(port, "/" + opened.address.partition("/?")[2].join(["?", ""]))
        assert status == 303
        assert cookie is not None
        assert "HttpOnly" in cookie
        cookie = cookie.partition(";")[0]
        assert get(port, Cookie=cookie)[:2] == (200, "the page")
        with gate("0.0.0.0", 0, behind) as other:  # a host's cookies go to all of its ports
            port, query = port_of(other.address), other.address.partition("/?")[2]
            _, _, second = get(port, f"/?{query}")
            assert second is not None
            both = f"{cookie}; {second.partition(';')[0]}"
            assert cookie.partition("=")[0] != second.partition("=")[0]
            assert get(port, Cookie=both)[0] == get(port_of(opened.address), Cookie=both)[0] == 200


def test_an_address_of_another_machine_is_said(behind: int) -> None:
    host = "198.51.100.7"  # of nobody's machine
    with pytest.raises(UsageError, match=f"^`host` {host}: is no address of this machine$"):
        gate(host, 0, behind).__enter__()


def test_a_port_in_use_is_said(behind: int) -> None:
    with pytest.raises(UsageError, match=f"`port` {behind}: cannot be listened on at 127.0.0.1"):
        gate("127.0.0.1", behind, behind).__enter__()
