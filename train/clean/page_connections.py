"""Limits the connections to an aiohttp page: their number, and the time until a request arrives."""

from __future__ import annotations

import asyncio

from aiohttp import web

MOST_CONNECTIONS = 64  # a browser opens up to six
HEAD_S = 10.0  # until the first request's header is complete
IDLE_S = 15.0  # until that of the next one
BODY_S = 10.0  # for a body of at most 64 kB


class ConnectionLimiter:
    """Makes the protocols of a server's connections, for `loop.create_server`."""

    def __init__(self, server: web.Server) -> None:
        self._server = server
        self._heard: set[object] = set()

    def __call__(self) -> asyncio.Protocol:
        """Make the protocol of a new connection."""
        there = self._server.connections
        self._heard.intersection_update(there)
        if len(there) >= MOST_CONNECTIONS:
            return _Refusal()
        connection = self._server()
        asyncio.get_running_loop().call_later(HEAD_S, self._look_after, connection)
        return connection

    def note(self, request: web.BaseRequest) -> None:
        """Note that a request has arrived: its connection may stay."""
        self._heard.add(request.protocol)

    def _look_after(self, connection: web.RequestHandler) -> None:
        if connection not in self._heard and connection.transport is not None:
            connection.transport.abort()


class _Refusal(asyncio.Protocol):
    """Closes a connection at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.abort()


async def read_body(request: web.Request) -> bytes:
    """Read the body within a time limit.  Raises HTTPRequestTimeout."""
    try:
        return await asyncio.wait_for(request.read(), BODY_S)
    except asyncio.TimeoutError as error:  # not yet the builtin in Python 3.10
        raise web.HTTPRequestTimeout(reason="the request arrived too slowly") from error
