"""Questions that go to every node: status, lists of calls and of subscribers.

In: control requests of the CLI. Out: one answer for the farm, and the names of nodes that did not
answer. Counterpart: `local.py` answers for one node.
"""

import asyncio
import base64
import binascii
import logging
from collections.abc import Callable
from typing import TypeVar

import msgspec

from overlay.base import decoding
from overlay.base.errors import ProtocolError
from overlay.base.limits import PAGE_ROWS_MAX
from overlay.control.copies import Position, RawPage, page_of_copies
from overlay.control.local import Local
from overlay.control.operator_messages import (
    Calls,
    Copies,
    ListCalls,
    ListCopies,
    ListSubscribers,
    Subscribers,
)
from overlay.links.farm_messages import Described, DescribeNode
from overlay.links.network import Transport
from overlay.links.peer_protocol import Ack, Failed, PeerReply, PeerRequest
from overlay.links.record_messages import CallsAt, ListCallsAt, ListSubscribersAt, SubscribersAt
from overlay.membership.members import State
from overlay.membership.membership import Membership
from overlay.records import call, subscriber
from overlay.records.assemble import assemble, involves
from overlay.records.call import CallEvents
from overlay.records.call_record import CallRecord
from overlay.records.node_info import NodeInfo
from overlay.records.node_status import NodeStatus
from overlay.replication.vetting import Vetting

log = logging.getLogger(__name__)
T = TypeVar("T")

FOREVER_US = 1 << 62
KEY_BYTES = 20
_decode_described = decoding.msgpack(NodeStatus)
VETTED_AT_ONCE = 50
"""Signatures that are checked without a pause for other tasks."""


class FarmWide:
    """Asks all live nodes, and joins their answers into one."""

    def __init__(
        self, local: Local, membership: Membership, transport: Transport, vetting: Vetting
    ) -> None:
        self._local = local
        self._vetting = vetting
        self._membership = membership
        self._transport = transport

    async def status(self, timeout_s: float) -> tuple[NodeStatus, ...]:
        """The status of every node, this one first. Of a silent node, it holds what this node
        knows."""
        replies = await self._ask_all(DescribeNode(), _description, timeout_s)
        # By id, as other fields of a member may have changed since it was asked.
        descriptions = {info.node_id: said for info, said in replies.items()}
        nodes = [await self._local.describe()]
        now_s = asyncio.get_running_loop().time()
        for member in self._membership.members:
            described = descriptions.get(member.info.node_id)
            since_s = round(now_s - member.since_s, 1)
            if described is not None:
                seen = msgspec.structs.replace(described, state=member.state.value, since_s=since_s)
                nodes.append(seen)
            else:
                info = member.info
                nodes.append(
                    NodeStatus(
                        name=info.name,
                        id=info.node_id.hex(),
                        address=f"{info.host}:{info.port}",
                        zone=info.zone,
                        draining=info.draining,
                        state=member.state.value,
                        since_s=since_s,
                        proxy="away" if info.proxy_away else "",
                    )
                )
        nodes[1:] = sorted(nodes[1:], key=lambda node: node.name)
        return tuple(nodes)

    async def calls(self, request: ListCalls, timeout_s: float) -> Calls:
        """A page of billing records in order of time; raises `ProtocolError` for a bad cursor."""
        after = _decode_cursor(request.cursor, request.since_us)
        limit = max(1, min(request.limit, PAGE_ROWS_MAX))
        until_us = request.until_us or FOREVER_US
        question = ListCallsAt(
            after_us=after[0],
            after_key=after[1],
            until_us=until_us,
            limit=limit,
            aor=request.subscriber,
        )
        own = await self._local.list_calls(question)
        replies = await self._ask_all(question, lambda r: _page_of_calls(r, after), timeout_s)
        pages = [(self._membership.own.name, _page_of_calls(own, after))]
        pages += [(node.name, page) for node, page in replies.items() if page is not None]
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
        if request.states:
            records = [record for record in records if record.state in request.states]
        cursor = _encode_cursor(_position(taken[-1])) if more and taken else ""
        silent = tuple(node.name for node, page in replies.items() if page is None)
        return Calls(id=0, calls=tuple(records), cursor=cursor, silent=silent)

    async def copies(self, request: ListCopies, timeout_s: float) -> Copies:
        """A page of events, or of signed blocks, with all versions that the nodes keep."""
        after = _decode_cursor(request.cursor, request.since_us)
        question = ListCallsAt(
            after_us=after[0],
            after_key=after[1],
            until_us=request.until_us or FOREVER_US,
            limit=max(1, min(request.limit, PAGE_ROWS_MAX)),
            chained=request.chained,
        )
        own = await self._local.list_calls(question)
        replies = await self._ask_all(question, lambda r: _raw_page(r, after), timeout_s)
        pages = [(self._membership.own.name, _raw_page(own, after))]
        pages += [(node.name, page) for node, page in replies.items() if page is not None]
        found, end = page_of_copies(pages)
        return Copies(
            id=0,
            copies=found,
            cursor=_encode_cursor(end) if end else "",
            silent=tuple(node.name for node, page in replies.items() if page is None),
        )

    async def subscribers(self, request: ListSubscribers, timeout_s: float) -> Subscribers:
        """A page of subscribers in order of their names."""
        limit = max(1, min(request.limit, PAGE_ROWS_MAX))
        question = ListSubscribersAt(after=request.cursor, limit=limit)
        own = self._local.list_subscribers(question)
        replies = await self._ask_all(question, _page_of_subscribers, timeout_s)
        mine_first = _page_of_subscribers(own)
        pages = [mine_first, *(page for page in replies.values() if page is not None)]
        newest: dict[str, subscriber.Subscriber] = {}
        ends = []
        for page in pages:
            found, more = page
            for number, record in enumerate(found):
                mine = newest.get(record.aor)
                if record == mine or (page is not mine_first and not self._vetting.signed(record)):
                    continue
                if number % VETTED_AT_ONCE == 0:
                    await asyncio.sleep(0)
                newest[record.aor] = subscriber.merge(mine, record) if mine else record
            if more and found:
                ends.append(found[-1].aor)
        names = [name for name in sorted(newest) if not ends or name <= min(ends)]
        cursor = names[:limit][-1] if names and (ends or len(names) > limit) else ""
        live = tuple(name for name in names[:limit] if not newest[name].removed)
        silent = tuple(node.name for node, page in replies.items() if page is None)
        return Subscribers(id=0, aors=live, cursor=cursor, silent=silent)

    async def tell_all(self, request: PeerRequest, timeout_s: float) -> int:
        """Send this to every live peer; returns how many acknowledged it."""
        heard = await self._ask_all(request, _acknowledged, timeout_s)
        return sum(each is not None for each in heard.values())

    async def _ask_all(
        self, request: PeerRequest, read: Callable[[PeerReply], T], timeout_s: float
    ) -> dict[NodeInfo, T | None]:
        """The answer of every live peer; None for peers that do not answer, or whose answer makes
        no sense."""
        peers = [m.info for m in self._membership.members if m.state is State.ALIVE]
        asked = (self._transport.ask(peer.node_id, request, timeout_s) for peer in peers)
        found: dict[NodeInfo, T | None] = {}
        for peer, reply in zip(peers, await asyncio.gather(*asked), strict=True):
            try:
                found[peer] = read(reply)
            except (msgspec.MsgspecError, ValueError) as error:
                found[peer] = None
                if not isinstance(reply, Failed):
                    log.warning("%s answered nonsense: %s", peer.name, error)
        return found


CallPage = tuple[list[tuple[Position, CallEvents]], bool]
"""Calls in order, and whether there are more."""


def _acknowledged(reply: PeerReply) -> bool:
    if not isinstance(reply, Ack):
        raise ValueError(type(reply).__name__)
    return True


def _description(reply: PeerReply) -> NodeStatus:
    if not isinstance(reply, Described):
        raise ValueError(type(reply).__name__)
    described: NodeStatus = _decode_described(reply.body)
    return described


def _raw_page(reply: PeerReply, after: Position) -> RawPage:
    _page_of_calls(reply, after)
    assert isinstance(reply, CallsAt)
    return list(reply.rows), reply.more and bool(reply.rows)


def _page_of_calls(reply: PeerReply, after: Position) -> CallPage:
    if not isinstance(reply, CallsAt):
        raise ValueError(type(reply).__name__)
    rows = [
        ((time_us, key), call.merge(map(call.decode, bodies), ()))
        for time_us, key, bodies in reply.rows
    ]
    for position, events in rows:
        if position <= after or not events or len(position[1]) != KEY_BYTES:
            raise ValueError("a page out of order")
        after = position
    return rows, reply.more and bool(rows)


def _page_of_subscribers(reply: PeerReply) -> tuple[list[subscriber.Subscriber], bool]:
    if not isinstance(reply, SubscribersAt):
        raise ValueError(type(reply).__name__)
    return [subscriber.decode(body) for body in reply.bodies], reply.more


MergedRows = dict[bytes, tuple[Position, CallEvents, list[str]]]


def _merge_pages(pages: list[tuple[str, CallPage]]) -> tuple[MergedRows, Position]:
    """The calls of all pages, and the position up to which every page is complete."""
    merged: MergedRows = {}
    horizon: Position = (FOREVER_US, b"\xff" * 20)
    for name, (rows, more) in pages:
        for position, events in rows:
            key = position[1]
            if key in merged:
                before = merged[key]
                both = call.merge(before[1], events)
                merged[key] = (min(position, before[0]), both, [*before[2], name])
            else:
                merged[key] = (position, events, [name])
        if more:
            horizon = min(horizon, rows[-1][0])
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
