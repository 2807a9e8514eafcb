"""Questions that every node must be asked: status, lists of calls and of subscribers.

In: control requests of the CLI. Out: one answer for the farm, and the names of nodes that did not
give theirs. Counterpart: `local.py` answers for one node.
"""

import asyncio
import base64
import binascii

import msgspec

from overlay import decoding
from overlay.billing.assemble import assemble, involves
from overlay.control.local import Local
from overlay.control.messages import (
    CallRecord,
    Calls,
    ListCalls,
    ListSubscribers,
    NodeStatus,
    Status,
    Subscribers,
)
from overlay.errors import ProtocolError
from overlay.limits import PAGE_ROWS_MAX
from overlay.links.messages import (
    CallsAt,
    Described,
    DescribeNode,
    ListCallsAt,
    ListSubscribersAt,
    NodeInfo,
    Reply,
    Request,
    SubscribersAt,
)
from overlay.links.network import Transport
from overlay.membership.members import State
from overlay.membership.membership import Membership
from overlay.records import call, subscriber
from overlay.records.call import CallEvents
from overlay.replication.vetting import Vetting

FOREVER_US = 1 << 62
_decode_described = decoding.msgpack(NodeStatus)
VETTED_AT_ONCE = 50
"""Signatures checked before others have their turn."""


class FarmWide:
    """Asks all live nodes and answers as one."""

    def __init__(
        self, local: Local, membership: Membership, transport: Transport, vetting: Vetting
    ) -> None:
        self._local = local
        self._vetting = vetting
        self._membership = membership
        self._transport = transport

    async def status(self, farm: str, timeout_s: float) -> Status:
        """Every node's description, this one first; silent ones as this node knows them."""
        replies = await self._ask_all(DescribeNode(), timeout_s)
        nodes = [await self._local.describe()]
        for member in self._membership.members:
            reply = replies.get(member.info)
            if isinstance(reply, Described):
                described = _decode_described(reply.body)
                nodes.append(msgspec.structs.replace(described, state=member.state.value))
            else:
                info = member.info
                nodes.append(
                    NodeStatus(
                        name=info.name,
                        id=info.node_id.hex(),
                        address=f"{info.host}:{info.port}",
                        state=member.state.value,
                        zone=info.zone,
                        draining=info.draining,
                    )
                )
        nodes[1:] = sorted(nodes[1:], key=lambda node: node.name)
        return Status(id=0, farm=farm, nodes=tuple(nodes))

    async def calls(self, request: ListCalls, timeout_s: float) -> Calls:
        """A page of billing records in order of time; raises `ProtocolError` on a bad cursor."""
        after = _decode_cursor(request.cursor, request.since_us)
        limit = max(1, min(request.limit, PAGE_ROWS_MAX))
        until_us = request.until_us or FOREVER_US
        question = ListCallsAt(
            after_us=after[0], after_key=after[1], until_us=until_us, limit=limit
        )
        own = await self._local.list_calls(question)
        replies = await self._ask_all(question, timeout_s)
        pages = [(self._membership.own.name, own)]
        pages += [(n.name, r) for n, r in replies.items() if isinstance(r, CallsAt)]
        merged, horizon = _merge_pages(pages)
        taken = [row for row in sorted(merged.items(), key=_position) if _position(row) <= horizon]
        more = len(taken) > limit or horizon < (FOREVER_US, b"\xff" * 20)
        taken = taken[:limit]
        records: list[CallRecord] = []
        for _, (position, events, holders) in taken:
            if min(event.time_us for event in events) < position[0]:
                continue
            records += assemble(events, tuple(holders))
        if request.subscriber:
            records = [r for r in records if involves(r, request.subscriber)]
        cursor = _encode_cursor(_position(taken[-1])) if more and taken else ""
        silent = tuple(n.name for n, r in replies.items() if not isinstance(r, CallsAt))
        return Calls(id=0, calls=tuple(records), cursor=cursor, silent=silent)

    async def subscribers(self, request: ListSubscribers, timeout_s: float) -> Subscribers:
        """A page of subscribers in order of their names."""
        limit = max(1, min(request.limit, PAGE_ROWS_MAX))
        question = ListSubscribersAt(after=request.cursor, limit=limit)
        own = self._local.list_subscribers(question)
        replies = await self._ask_all(question, timeout_s)
        pages = [own, *(r for r in replies.values() if isinstance(r, SubscribersAt))]
        newest: dict[str, subscriber.Subscriber] = {}
        ends = []
        for page in pages:
            found = [subscriber.decode(body) for body in page.bodies]
            for number, record in enumerate(found):
                mine = newest.get(record.aor)
                if record == mine or (page is not own and not self._vetting.signed(record)):
                    continue
                if number % VETTED_AT_ONCE == 0:
                    await asyncio.sleep(0)
                newest[record.aor] = subscriber.merge(mine, record) if mine else record
            if page.more and found:
                ends.append(found[-1].aor)
        names = [name for name in sorted(newest) if not ends or name <= min(ends)]
        cursor = names[:limit][-1] if names and (ends or len(names) > limit) else ""
        live = tuple(name for name in names[:limit] if not newest[name].removed)
        silent = tuple(n.name for n, r in replies.items() if not isinstance(r, SubscribersAt))
        return Subscribers(id=0, aors=live, cursor=cursor, silent=silent)

    async def _ask_all(self, request: Request, timeout_s: float) -> dict[NodeInfo, Reply]:
        peers = [m.info for m in self._membership.members if m.state is State.ALIVE]
        asked = (self._transport.ask(peer.node_id, request, timeout_s) for peer in peers)
        return dict(zip(peers, await asyncio.gather(*asked), strict=True))


Position = tuple[int, bytes]
Merged = dict[bytes, tuple[Position, CallEvents, list[str]]]


def _merge_pages(pages: list[tuple[str, CallsAt]]) -> tuple[Merged, Position]:
    """The calls of all pages, and up to where every page is whole."""
    merged: Merged = {}
    horizon: Position = (FOREVER_US, b"\xff" * 20)
    for name, page in pages:
        for time_us, key, bodies in page.rows:
            events = call.merge((call.decode(body) for body in bodies), ())
            position = (time_us, key)
            if key in merged:
                before = merged[key]
                position = min(position, before[0])
                events = call.merge(before[1], events)
                merged[key] = (position, events, [*before[2], name])
            else:
                merged[key] = (position, events, [name])
        if page.more and page.rows:
            horizon = min(horizon, (page.rows[-1][0], page.rows[-1][1]))
    return merged, horizon


def _position(row: tuple[bytes, tuple[Position, CallEvents, list[str]]]) -> Position:
    return row[1][0]


def _encode_cursor(position: Position) -> str:
    data = position[0].to_bytes(8, "big") + position[1]
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _decode_cursor(cursor: str, since_us: int) -> Position:
    if not cursor:
        return (since_us - 1, b"\xff" * 20) if since_us else (0, b"")
    try:
        data = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except (binascii.Error, ValueError) as error:
        raise ProtocolError("the cursor is not one of this farm's") from error
    if len(data) != 28:
        raise ProtocolError("the cursor is not one of this farm's")
    return int.from_bytes(data[:8], "big"), data[8:]
