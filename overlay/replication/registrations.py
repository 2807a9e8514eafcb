"""Coordinates registrations: REGISTERs, and lookups of an address-of-record.

In: requests of proxies, and requests that peers hand over. Out: answers, once W replicas hold the
change. Counterparts: `overlay.records.registrar` decides; `replica.py` merges.

A replica coordinates on the basis of its own copy, and sends only the change. The other replicas
merge it, and answer with their record if the result differs. So the quorum's view is complete after
one round trip. A node that is not a replica hands the request over to the nearest replica.
"""

import asyncio
from collections.abc import Callable, Iterable

import msgspec

from overlay.base.errors import UnavailableError
from overlay.base.tasks import Background
from overlay.config.sections import ProxySection
from overlay.links import register_bodies
from overlay.links.peer_part import Handlers, PeerPart, calls_back
from overlay.links.peer_protocol import PeerReply
from overlay.links.record_messages import RegisterAt, RegisteredAt, Store, Stored
from overlay.observe.figures import total
from overlay.records import registrar, registration
from overlay.records.clock import HybridClock
from overlay.records.names import RESERVED, RecordKind, key_of
from overlay.records.node_info import NodeInfo
from overlay.records.refusal import Refusal
from overlay.records.register import RegisterOutcome, RegisterRequest, RegisterResult
from overlay.records.registration import Registration
from overlay.replication.quorum import Outcome
from overlay.replication.quorum_write import QuorumWrite
from overlay.replication.reader import Found, Merged, Reader
from overlay.replication.replica import digest_of
from overlay.replication.replicas import Replicas

OnRegistered = Callable[[RegisterResult | Refusal], None]
UNAVAILABLE = RegisterResult(outcome=RegisterOutcome.UNAVAILABLE)


class Registrations(PeerPart):
    """The farm's registrations, written and read through this node."""

    FIGURES = (
        total(
            "sipfarm_registrations_weak_total",
            "REGISTERs that fewer than W nodes hold, as there were no more",
            lambda registrations: registrations.weak,
        ),
    )

    def __init__(
        self, settings: ProxySection, replicas: Replicas, reader: Reader, clock: HybridClock
    ) -> None:
        self._settings = settings
        self._replicas = replicas
        self._replica = replicas.own
        self._reader = reader
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._tasks = Background()
        self.weak = 0
        """The number of REGISTERs stored on fewer than W nodes, as there were no more nodes."""

    def requests(self) -> Handlers:
        return (calls_back(RegisterAt, lambda _, asked, answer: self.register_at(asked, answer)),)

    def register(self, request: RegisterRequest, timeout_s: float, done: OnRegistered) -> None:
        """Carry out a REGISTER. `done` is called once, within `timeout_s`."""
        key = key_of(RecordKind.REGISTRATION, request.aor)
        nodes = self._replicas.placement.surely(key)
        if nodes is None:
            self._tasks.start(self._find_first(request, key, timeout_s, done))
        else:
            self._route(request, key, nodes, timeout_s, done)

    def register_at(self, request: RegisterAt, answer: Callable[[PeerReply], None]) -> None:
        """Carry out a REGISTER that another node handed over."""
        asked, deadline_ms = register_bodies.decode_request(request.body)

        def done(result: RegisterResult | Refusal) -> None:
            answer(RegisteredAt(body=register_bodies.encode_result(result)))

        key = key_of(RecordKind.REGISTRATION, asked.aor)
        if not self._replicas.is_among(self._replicas.placement.of(key)):
            done(UNAVAILABLE)
            return
        self.register(asked, max(deadline_ms, 1) / 1000, done)

    async def read(
        self, aor: str, timeout_s: float, lease_ms: int = 0, copies_wanted: int = 0
    ) -> Found[Registration]:
        """The record of an address-of-record; raises `UnavailableError`."""
        key = key_of(RecordKind.REGISTRATION, aor)
        return await self._reader.read(
            RecordKind.REGISTRATION,
            key,
            self._merge_bodies,
            timeout_s,
            lease_ms,
            copies_wanted,
            _readable,
        )

    # inner workings

    def _merge_bodies(self, bodies: Iterable[bytes]) -> Merged[Registration]:
        record: Registration = ()
        now_ms = self._replica.now_ms()
        for body in bodies:
            copy = registration.standing(registration.decode(body), now_ms)
            record = registration.merge(record, copy)
        return Merged(record=record, bodies=[registration.encode(record)] if record else [])

    def _route(
        self,
        request: RegisterRequest,
        key: bytes,
        nodes: tuple[NodeInfo, ...],
        timeout_s: float,
        done: OnRegistered,
    ) -> None:
        if not self._replicas.is_among(nodes):
            self._hand_over(request, list(nodes), self._loop.time() + timeout_s, done)
        elif request.contacts and not request.remove_all:
            self._write(request, key, nodes, timeout_s, done)
        else:
            self._tasks.start(self._read_first(request, key, nodes, timeout_s, done))

    async def _find_first(
        self, request: RegisterRequest, key: bytes, timeout_s: float, done: OnRegistered
    ) -> None:
        """Ask other nodes for the replicas, in a farm that is larger than the table; then go on."""
        until_s = self._loop.time() + timeout_s
        nodes = await self._replicas.placement.find(key, timeout_s / 2)
        self._route(request, key, nodes, until_s - self._loop.time(), done)

    async def _read_first(
        self,
        request: RegisterRequest,
        key: bytes,
        nodes: tuple[NodeInfo, ...],
        timeout_s: float,
        done: OnRegistered,
    ) -> None:
        """Read all bindings from a quorum, as a REGISTER that removes or lists all of them needs
        them."""
        began_s = self._loop.time()
        try:
            found = await self.read(request.aor, timeout_s)
        except UnavailableError:
            done(UNAVAILABLE)
            return
        self._replica.apply_registration(key, found.record)
        if request.remove_all:
            self._write(request, key, nodes, timeout_s - (self._loop.time() - began_s), done)
        else:
            bindings = registrar.listed(found.record, self._replica.now_ms())
            done(RegisterResult(outcome=RegisterOutcome.DONE, bindings=bindings))

    def _write(
        self,
        request: RegisterRequest,
        key: bytes,
        nodes: tuple[NodeInfo, ...],
        timeout_s: float,
        done: OnRegistered,
        *,
        again: bool = True,
    ) -> None:
        until_s = self._loop.time() + timeout_s
        now_ms = self._replica.now_ms()
        mine = self._replica.registration(key)
        contacts_max = request.contacts_max or self._settings.contacts_max
        weak = len(nodes) < self._replicas.write_quorum
        decision = registrar.decide(
            mine,
            request,
            now_ms,
            self._clock.tick(),
            contacts_max,
            unseen_s=self._settings.expires_max_s if weak else 0,
        )
        if decision.outcome is not RegisterOutcome.DONE:
            done(RegisterResult(outcome=decision.outcome))
            return
        delta = decision.delta

        def won(record: Registration) -> None:
            left_s = max(0.0, until_s - self._loop.time())
            if again and registrar.overlooked(record, request, delta, now_ms):
                self._write(request, key, nodes, left_s, done, again=False)
            elif len(record) > contacts_max and (
                undo := registrar.undo(mine, record, delta, now_ms, contacts_max)
            ):
                refused = RegisterResult(outcome=RegisterOutcome.TOO_MANY)
                self._replicate(key, undo, nodes, left_s, lambda _: done(refused), done)
            else:
                # A node's own readiness probes are no REGISTERs of phones.
                self.weak += weak and not request.aor.startswith(RESERVED)
                self._finish(delta, record, done, weak=weak)

        self._replicate(key, delta, nodes, timeout_s, won, done)

    def _replicate(
        self,
        key: bytes,
        delta: Registration,
        nodes: tuple[NodeInfo, ...],
        timeout_s: float,
        won: Callable[[Registration], None],
        done: OnRegistered,
    ) -> None:
        """Have W replicas merge `delta`. `won` gets the record as the quorum has it; `done` gets
        the reason if there is no quorum."""
        try:
            merged, changed = self._replica.apply_registration(key, delta)
        except ValueError as error:
            done(Refusal(code="too-large", reason=str(error)))
            return

        def heard(reply: PeerReply) -> None:
            nonlocal merged
            if isinstance(reply, Stored) and reply.body:
                merged = registration.merge(merged, self._learned(key, reply.body))

        def decided(outcome: Outcome) -> None:
            if outcome is Outcome.WON:
                won(merged)
            else:
                done(UNAVAILABLE)

        store = Store(
            kind=RecordKind.REGISTRATION,
            key=key,
            body=registration.encode(delta),
            expected=digest_of(self._replica.encoded(key, merged)),
        )
        needed = self._replicas.needed(len(nodes))
        write = QuorumWrite(self._replicas, store, nodes, needed, timeout_s, decided, heard)
        write.start()
        if changed:
            # This node's copy counts as stored once its proxies and its lease holders know of the
            # change.
            self._replica.spread(key, merged, self._replicas.own_id, write.own_copy)
        else:
            write.own_copy()

    def _finish(
        self, delta: Registration, merged: Registration, done: OnRegistered, *, weak: bool
    ) -> None:
        """Answer a REGISTER whose quorum is won."""
        outcome = RegisterOutcome.DONE
        if registrar.overtaken(merged, delta):
            outcome = RegisterOutcome.STALE
        listed = registrar.listed(merged, self._replica.now_ms())
        done(RegisterResult(outcome=outcome, bindings=listed, weak=weak))

    def _learned(self, key: bytes, body: bytes) -> Registration:
        """Merge what another replica knew beyond this one; empty if that cannot be read or kept."""
        try:
            record = registration.decode(body)
            for binding in record:
                self._clock.observe(binding.changed)
            merged, changed = self._replica.apply_registration(key, record)
        except (msgspec.MsgspecError, ValueError):
            return ()
        if changed:
            self._replica.spread(key, merged, self._replicas.own_id, lambda: None)
        return record

    def _hand_over(
        self, request: RegisterRequest, nodes: list[NodeInfo], until_s: float, done: OnRegistered
    ) -> None:
        left_s = until_s - self._loop.time()
        if not nodes or left_s <= 0:
            done(UNAVAILABLE)
            return
        node = nodes.pop(0)
        patience_s = left_s / 2 if nodes else left_s

        def answered(reply: PeerReply) -> None:
            if isinstance(reply, RegisteredAt):
                result = register_bodies.decode_result(reply.body)
                if result != UNAVAILABLE:
                    done(result)
                    return
            self._hand_over(request, nodes, until_s, done)

        body = register_bodies.encode_request(request, int(patience_s * 1000))
        self._replicas.transport.request(node.node_id, RegisterAt(body=body), answered, patience_s)


def _readable(body: bytes) -> bool:
    """Whether this is a registration record. A peer or a disk may have sent anything."""
    try:
        registration.decode(body)
    except msgspec.MsgspecError:
        return False
    return True
