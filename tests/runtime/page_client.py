"""Somebody who looks at the live page."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable
from typing import Any

from yoga_live.runtime.serve.page import LivePage


def ask(page: LivePage, path: str, body: bytes | None = None, method: str = "", **headers: str | None) -> Any:
    """One request.  Returns status, headers, body.  path: after the token, or the whole of it if it begins with /."""
    connection = http.client.HTTPConnection("127.0.0.1", page.server.server_port, timeout=10)
    given: dict[str, str | None] = {"Content-Type": "application/octet-stream"} if body is not None else {}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    token = page.server.guard.token
    target = path if path.startswith("/") else f"/{token}/{path}" if token else f"/{path}"
    sent = {name: value for name, value in given.items() if value is not None}
    connection.request(method or ("GET" if body is None else "POST"), target, body, sent)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, dict(answer.headers), content


class Viewer:
    """A browser's event stream, read event by event."""

    def __init__(self, page: LivePage) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", page.server.server_port, timeout=10)
        self.connection.request("GET", "/events")
        self.answer = self.connection.getresponse()

    def read(self) -> tuple[str, Any]:
        """The next event's name and content; ("", None) at the end."""
        name = ""
        while line := self.answer.readline().decode():
            if line.startswith("event: "):
                name = line[7:].strip()
            if line.startswith("data: "):
                return name, json.loads(line[6:])
        return "", None

    def close(self) -> None:
        self.answer.close()
        self.connection.close()


def wait_until(test: Callable[[], bool], within_s: float = 10) -> None:
    until_s = time.monotonic() + within_s
    while not test():
        assert time.monotonic() < until_s
        time.sleep(0.02)
