"""Plays the farm's users: proxies that write call events, phones that register, callers that look
up.

In: chance. Out: requests to hosts; what was acknowledged, in the ledger. A request without an
acknowledgement is tried again at another host, as SIP's retransmissions and DNS would do.
"""

import asyncio
import random

from overlay.control import control_protocol, operator_messages, proxy_messages
from overlay.records import call, subscriber
from overlay.records.call import CallEvent, EventKind
from overlay.records.names import RecordKind, key_of
from overlay.records.register import ContactChange, RegisterOutcome
from overlay.records.targets import redis_key
from tests.simulation.host import FARM, OPERATOR, Host
from tests.simulation.ledger import Ledger, Phone, Promised, Sworn
from tests.simulation.wires import Wires

EVENT_DEADLINE_S = 0.4
REGISTER_DEADLINE_S = 0.5
LOOKUP_DEADLINE_S = 0.15
TRIES_MAX = 12
FREEZE_S_MAX = 4.0
"""How much later than asked a daemon that was frozen may act."""


class Clients:
    """All clients of one run."""

    def __init__(
        self, hosts: list[Host], wires: Wires, ledger: Ledger, chance: random.Random, seed: str
    ) -> None:
        self.hosts = hosts
        self.wires = wires
        self.ledger = ledger
        self.chance = chance
        self.seed = seed
        self.stopping = False
        self.calm = False
        """No fault may be in the way of anything."""
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, callers: int, phones: int, lookers: int) -> None:
        """Begin."""
        loop = asyncio.get_running_loop()
        for number in range(phones):
            aor = f"p{number}.{self.seed}@{FARM}".lower()
            self.ledger.phones.append(Phone(aor=aor, call_id=f"reg-{number}-{self.seed}"))
        work = [self._caller(number) for number in range(callers)]
        work += [self._phone(phone) for phone in self.ledger.phones]
        work += [self._looker() for _ in range(lookers)]
        work.append(self._operator())
        self._tasks = [loop.create_task(one) for one in work]

    async def finish(self) -> None:
        """End what they are at, and no more."""
        self.stopping = True
        await asyncio.gather(*self._tasks)

    def somewhere(self) -> Host:
        """A host, by chance; a client does not know which of them are up."""
        return self.chance.choice([host for host in self.hosts if not host.gone])

    # Calls

    async def _caller(self, number: int) -> None:
        made = 0
        while not self.stopping:
            await asyncio.sleep(self.chance.expovariate(2.0))
            call_id = f"call-{number}-{made}-{self.seed}"
            made += 1
            self.ledger.calls.append(call_id)
            if await self._write(EventKind.START, call_id) and not self.stopping:
                await asyncio.sleep(self.chance.expovariate(2.0))
                await self._write(EventKind.STOP, call_id)

    async def _write(self, kind: EventKind, call_id: str) -> bool:
        event_id = call.event_id(kind, call_id, "one", "two")
        self.ledger.written.add(event_id)
        for number in range(TRIES_MAX):
            host = self.somewhere()
            event = CallEvent(
                kind=kind,
                event_id=event_id,
                call_id=call_id,
                from_tag="one",
                to_tag="two",
                time_us=host.now_ms() * 1000,
            )
            answer = await host.ask(proxy_messages.WriteEvent(event=event), EVENT_DEADLINE_S)
            if isinstance(answer, proxy_messages.Written):
                self._promised(host, event, answer.level)
                # A proxy's answer may get lost, and the phone try again elsewhere.
                if self.chance.random() > 0.1:
                    return True
            await asyncio.sleep(min(0.5 * 2**number, 2.0) * self.chance.random())
            if self.stopping and number > 2:
                break
        return event_id in self.ledger.events

    def _promised(self, host: Host, event: CallEvent, level: str) -> None:
        key = key_of(RecordKind.CALL, event.call_id)
        disks = {
            (other.name, other.disk.generation)
            for other in self.hosts
            if not other.gone and other.disk.has_event(key, event.event_id)
        }
        self.wires.note("acknowledged", host.name, event.event_id, level, sorted(disks))
        needed = host.config.overlay.write_quorum if level == "quorum" else 1
        # A disk may have promised it, and have lost it with its power before the answer came here.
        falsely = sum(event.event_id in other.disk.rotted for other in self.hosts)
        if len(disks) + falsely < needed and not self._disks_destroyed():
            self.ledger.fail(
                f"{host.name} acknowledged {event.kind.name} of {event.call_id} as {level}, "
                f"which is on {len(disks)} disks"
            )
        before = self.ledger.events.get(event.event_id)
        if before is None:
            self.ledger.events[event.event_id] = Promised(
                event=event, key=key, level=level, disks=disks
            )
        else:
            before.disks |= disks

    def _disks_destroyed(self) -> bool:
        return any(host.gone or host.disk.generation for host in self.hosts)

    # Registrations

    async def _phone(self, phone: Phone) -> None:
        await asyncio.sleep(self.chance.random())
        while not self.stopping:
            await self.register(phone, self.chance.choice((0, 3, 60, 3600, 3600, 3600)))
            await asyncio.sleep(self.chance.expovariate(2.0))

    async def register(self, phone: Phone, expires_s: int) -> bool:
        """One REGISTER, tried until it is answered."""
        phone.cseq += 1
        cseq = phone.cseq
        change = ContactChange(
            uri=phone.contact, expires_s=expires_s, received=f"sip:192.0.2.1:{cseq}"
        )
        request = proxy_messages.Register(
            aor=phone.aor, call_id=phone.call_id, cseq=cseq, contacts=(change,)
        )
        for _ in range(TRIES_MAX):
            host = self.somewhere()
            phone.ends_s[cseq] = asyncio.get_running_loop().time() + expires_s + 1.0
            answer = await host.ask(request, REGISTER_DEADLINE_S)
            if isinstance(answer, proxy_messages.Registered):
                if answer.outcome is RegisterOutcome.DONE:
                    self._registered(host, phone, cseq, expires_s)
                    return True
                if answer.outcome is RegisterOutcome.STALE:
                    self.ledger.fail(f"{host.name} found CSeq {cseq} of {phone.aor} stale")
                self.ledger.refused += 1
            await asyncio.sleep(self.chance.random())
            if self.stopping:
                break
        return False

    def _registered(self, host: Host, phone: Phone, cseq: int, expires_s: int) -> None:
        phone.acked = cseq
        phone.acked_removed = expires_s == 0
        phone.acked_at_s = asyncio.get_running_loop().time()
        phone.acked_until_s = phone.acked_at_s + expires_s
        phone.holders = {
            other.name
            for other in self.hosts
            if other.node is not None and phone.cseq_at(other) >= cseq
        }
        self.wires.note("registered", host.name, phone.aor, cseq, sorted(phone.holders))

    # Lookups

    async def _looker(self) -> None:
        while not self.stopping:
            await asyncio.sleep(self.chance.expovariate(8.0))
            await self.look_up(self.somewhere(), self.chance.choice(self.ledger.phones))

    async def look_up(self, host: Host, phone: Phone) -> int | None:
        """The CSeq that a caller at this host is sent to; 0: none, None: no answer."""
        floor = phone.acked if self.calm else 0
        targets = host.worker.read(redis_key(phone.aor))
        if targets is None:
            answer = await host.ask(proxy_messages.Locate(aor=phone.aor), LOOKUP_DEADLINE_S)
            if not isinstance(answer, proxy_messages.Located):
                return None
            targets = answer.targets
        self.ledger.lookups += 1
        cseq = max((int(target.received.rpartition(":")[2]) for target in targets), default=0)
        self.wires.note("located", host.name, phone.aor, cseq)
        self._check_expiry(host, phone, cseq)
        if cseq and cseq < floor:
            self.ledger.fail(f"{host.name} served CSeq {cseq} of {phone.aor}; {floor} was answered")
        return cseq

    def clocks_apart_s(self) -> float:
        """By how much two clocks of the farm have ever differed."""
        skews = [skew for host in self.hosts for skew in host.skews_ms]
        return (max(skews) - min(skews)) / 1000

    def _check_expiry(self, host: Host, phone: Phone, cseq: int) -> None:
        ends_s = phone.ends_s.get(cseq)
        now_s = asyncio.get_running_loop().time()
        if ends_s is not None and now_s > ends_s + self.clocks_apart_s() + FREEZE_S_MAX:
            self.ledger.fail(f"{host.name} served CSeq {cseq} of {phone.aor} after its end")

    # Subscribers

    async def _operator(self) -> None:
        """Adds subscribers, and changes one again and again."""
        version = 0
        while not self.stopping:
            version += 1
            name = f"s{version % 3}.{self.seed}@{FARM}".lower()
            record = subscriber.with_password(name, f"secret {version}", version)
            signed = subscriber.signed(record, OPERATOR)
            for _ in range(TRIES_MAX):
                answer = await self.somewhere().ask(
                    operator_messages.PutSubscriber(record=signed), 1.0
                )
                if isinstance(answer, control_protocol.Done):
                    disks = frozenset(
                        (host.name, host.disk.generation)
                        for host in self.hosts
                        if not host.gone and (name, version) in host.disk.subscribers()
                    )
                    self.ledger.subscribers[name] = Sworn(aor=name, version=version, disks=disks)
                    break
                await asyncio.sleep(self.chance.random())
                if self.stopping:
                    break
            await asyncio.sleep(self.chance.expovariate(1.0))
