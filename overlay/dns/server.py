"""Answers PowerDNS: the questions of its remote backend, over a Unix socket.

In: one JSON object a line, `{"method": …, "parameters": {…}}`. Out: one a line, `{"result": …}`, in
the same order. Counterparts: `pdns_server` with `remote-connection-string=unix:path=…`, and
`zone.py`, which has the answers. Every answer comes from memory at once: PowerDNS asks one question
at a time, and a slow answer becomes a SERVFAIL.
"""

import asyncio
import grp
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from overlay.base import decoding, limit_hits
from overlay.base.limits import DNS_CONNECTIONS_MAX, DNS_QUESTION_BYTES_MAX
from overlay.dns.zone import Record, Zone, ZoneView, steady
from overlay.observe.part import Part

SOCKET_MODE: Final = 0o660
POWERDNS_GROUP: Final = "sipfarm-pdns"
"""The group of the user that the unit sipfarm-pdns runs as. The daemon's user is in it, too."""

_ZONE_ID: Final = 1
_log = logging.getLogger(__name__)


class _Parameters(msgspec.Struct):
    """The parameters in use, of all methods."""

    qname: str = ""
    qtype: str = ""
    name: str = ""


class _Question(msgspec.Struct):
    method: str
    parameters: _Parameters = msgspec.field(default_factory=_Parameters)


_decode_question = decoding.json(_Question)
_encode = msgspec.json.Encoder().encode


class Answerer:
    """Answers each question from the zone as it is at that moment."""

    def __init__(self, provide: Callable[[], ZoneView]) -> None:
        self._provide = provide
        self._zone: Zone | None = None

    def answer(self, line: bytes) -> bytes:
        """The answer to one line; raises `msgspec.MsgspecError` if the line is no question."""
        question = _decode_question(line)
        return _encode({"result": self._result(question.method, question.parameters)}) + b"\n"

    def _result(self, method: str, parameters: _Parameters) -> Any:
        match method:
            case "initialize":
                return True
            case "lookup":
                return self._lookup(parameters.qname, parameters.qtype)
            case "getDomainInfo":
                zone = self._current()
                known = not zone.empty and parameters.name.lower() == zone.apex
                return self._information(zone) if known else False
            case "getAllDomains":
                zone = self._current()
                return [] if zone.empty else [self._information(zone)]
            case "getAllDomainMetadata":
                return {}
            case "getDomainMetadata" | "getDomainKeys":
                return []
            case _:
                # Other methods, such as `list`: each node makes the zone itself, so it is never
                # transferred.
                return False

    def _lookup(self, name: str, kind: str) -> Any:
        zone = self._current()
        found = [_row(record) for record in zone.lookup(name, kind)]
        if not found and kind == "ANY" and zone.between(name):
            return [_row(Record(name=name, type="", content="", ttl_s=zone.view.ttl_s))]
        return found or False

    def _current(self) -> Zone:
        zone = self._zone
        view = steady(self._provide(), zone.view if zone else None)
        if zone is None or view != zone.view:
            zone = self._zone = Zone(view)
        return zone

    @staticmethod
    def _information(zone: Zone) -> dict[str, Any]:
        return {
            "id": _ZONE_ID,
            "zone": zone.apex,
            "kind": "native",
            "serial": zone.view.serial,
            "notified_serial": zone.view.serial,
            "last_check": 0,
            "masters": [],
        }


def _row(record: Record) -> dict[str, Any]:
    return {
        "qname": record.name,
        "qtype": record.type,
        "content": record.content,
        "ttl": record.ttl_s,
    }


class _Connection(asyncio.Protocol):
    """One connection of PowerDNS. Anything but a question ends it."""

    def __init__(self, answerer: Answerer, connections: set["_Connection"]) -> None:
        self._answerer = answerer
        self._connections = connections
        self._buffer = bytearray()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the methods, but not the base class.
        self.transport = cast(asyncio.Transport, transport)
        if len(self._connections) >= DNS_CONNECTIONS_MAX:
            limit_hits.hit("DNS_CONNECTIONS_MAX")
            _log.warning("DNS: more than %d connections, one refused", DNS_CONNECTIONS_MAX)
            self.transport.abort()
            return
        self._connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._connections.discard(self)

    def pause_writing(self) -> None:
        assert self.transport is not None
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        assert self.transport is not None
        self.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        assert self.transport is not None
        if self.transport.is_closing():
            return
        self._buffer += data
        *lines, rest = self._buffer.split(b"\n")
        self._buffer = rest
        try:
            answers = [self._answerer.answer(bytes(line)) for line in lines if line.strip()]
        except msgspec.MsgspecError as error:
            self._refuse(str(error))
            return
        if len(rest) > DNS_QUESTION_BYTES_MAX:
            limit_hits.hit("DNS_QUESTION_BYTES_MAX")
            self._refuse(f"line of more than {DNS_QUESTION_BYTES_MAX} bytes")
            return
        if answers:
            self.transport.writelines(answers)

    def _refuse(self, why: str) -> None:
        assert self.transport is not None
        _log.warning("DNS: connection closed: %s", why)
        self._buffer.clear()
        self.transport.abort()


class DnsServer(Part):
    """The listening socket and its connections."""

    def __init__(self, path: Path, provide: Callable[[], ZoneView]) -> None:
        """`path` is the Unix socket on which PowerDNS asks.

        `provide` is called for each question and must return at once. While its view has no live
        node, the last view that had one is served.
        """
        self._path = path
        self._answerer = Answerer(provide)
        self._listener: asyncio.AbstractServer | None = None
        self._connections: set[_Connection] = set()

    async def start(self) -> None:
        """Listen, in the place of a socket that an earlier process left; raises `OSError`."""
        self._path.unlink(missing_ok=True)
        self._listener = await asyncio.get_running_loop().create_unix_server(
            lambda: _Connection(self._answerer, self._connections), str(self._path)
        )
        self._path.chmod(SOCKET_MODE)
        _give_to_powerdns(self._path)

    async def stop(self) -> None:
        """Stop listening, end every connection and remove the socket."""
        if self._listener is None:
            return
        self._listener.close()
        for connection in self._connections:
            if connection.transport is not None:
                connection.transport.abort()
        self._path.unlink(missing_ok=True)
        await self._listener.wait_closed()


def _give_to_powerdns(path: Path) -> None:
    """Let PowerDNS's user open the socket, and no other user, if PowerDNS has a user of its own."""
    try:
        group = grp.getgrnam(POWERDNS_GROUP).gr_gid
    except KeyError:
        return
    if group in os.getgroups():
        os.chown(path, -1, group)
