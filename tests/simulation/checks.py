"""Holds a farm to its promises, while it runs and after everything was mended.

In: hosts, the ledger. Out: broken promises, in the ledger. The farm must heal within a bound.
Within it, every node sees every other, and all copies of a record are the same.
"""

import asyncio

from overlay.base import limits
from overlay.control import operator_messages, proxy_messages
from overlay.records import registration, subscriber
from overlay.records.names import RecordKind, key_of
from tests.simulation.clients import Clients
from tests.simulation.host import Host
from tests.simulation.ledger import Ledger, Phone, Promised

JOIN_S_MAX = 15.0
CONVERGE_S_MAX = 30.0
POLL_S = 0.5
TASKS_MAX = 2_000


def check_bounds(hosts: list[Host], ledger: Ledger) -> None:
    """Nothing grows without a bound."""
    for host in hosts:
        node = host.node
        if node is None:
            continue
        if node.committer.waiting > limits.COMMIT_QUEUE_MAX:
            ledger.fail(f"{host.name}: {node.committer.waiting} rows wait for the disk")
        assert host.process is not None
        for text in host.process.failed_tasks():
            ledger.fail(f"{host.name}: {text}")
        tasks = len(host.process.tasks)
        if tasks > TASKS_MAX:
            ledger.fail(f"{host.name}: {tasks} tasks")


async def joined(hosts: list[Host], ledger: Ledger) -> float:
    """Wait until every node sees every other; how long that took."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    names = {host.name for host in hosts}
    while loop.time() - began_s < JOIN_S_MAX:
        if all(
            host.node is not None and {info.name for info in host.node.membership.alive()} == names
            for host in hosts
        ):
            return loop.time() - began_s
        await asyncio.sleep(POLL_S)
    for host in hosts:
        seen = sorted(i.name for i in host.node.membership.alive()) if host.node else None
        ledger.fail(f"{host.name} sees {seen} after {JOIN_S_MAX:g} s; {sorted(names)} are up")
    return JOIN_S_MAX


async def converged(hosts: list[Host], ledger: Ledger) -> float:
    """Wait until the replicas of every record have the same; how long that took."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    different: list[str] = []
    while loop.time() - began_s < CONVERGE_S_MAX:
        different = _differences(hosts, ledger)
        if not different:
            return loop.time() - began_s
        await asyncio.sleep(POLL_S)
    for text in different[:5]:
        ledger.fail(f"after {CONVERGE_S_MAX:g} s {text}")
    return CONVERGE_S_MAX


def _differences(hosts: list[Host], ledger: Ledger) -> list[str]:
    found: list[str] = []
    for call_id in ledger.calls:
        key = key_of(RecordKind.CALL, call_id)
        copies = {h.name: h.disk.records.events(key) for h in _replicas(hosts, key)}
        if len(set(copies.values())) > 1:
            found.append(f"{call_id} differs: { {n: len(c) for n, c in copies.items()} }")
    for phone in ledger.phones:
        bodies = {h.name: _binding(h, phone.key) for h in _replicas(hosts, phone.key)}
        if len(set(bodies.values())) > 1:
            entries = {h.name: phone.cseq_at(h) for h in _replicas(hosts, phone.key)}
            found.append(f"{phone.aor} differs: {entries}")
    for aor in ledger.subscribers:
        key = key_of(RecordKind.SUBSCRIBER, aor)
        versions = {h.name: _version(h, key) for h in _replicas(hosts, key)}
        if len(set(versions.values())) > 1:
            found.append(f"{aor} differs: {versions}")
    for host in hosts:
        if host.node is None or host.disk.records.journal_depth():
            found.append(f"{host.name} has a journal")
    return found


def _replicas(hosts: list[Host], key: bytes) -> list[Host]:
    """Where a record belongs: the N nearest of all that are up."""
    target = int.from_bytes(key, "big")
    near = sorted(hosts, key=lambda h: int.from_bytes(h.identity.node_id, "big") ^ target)
    return near[: hosts[0].config.overlay.replicas]


def _binding(host: Host, key: bytes) -> registration.Registration:
    """A copy, as far as it matters: what ended may be gone from one copy and not from another."""
    body = host.node.bindings.get(key) if host.node else None
    return registration.prune(registration.decode(body), host.now_ms()) if body else ()


def _version(host: Host, key: bytes) -> int:
    body = host.node.base.subscribers.get(key) if host.node else None
    return subscriber.decode(body).version if body else 0


async def check_promises(hosts: list[Host], clients: Clients, ledger: Ledger) -> None:
    """Ask every node for everything that was acknowledged."""
    kept = [p for p in ledger.events.values() if not p.lost_rightly(clients.hosts)]
    calls = list(dict.fromkeys(promised.event.call_id for promised in kept))
    for number, host in enumerate(hosts):
        # Every call at two nodes; over many seeds that is every node.
        asked = {c for i, c in enumerate(calls) if (i - number) % len(hosts) < 2}
        await _check_calls(host, [p for p in kept if p.event.call_id in asked], ledger)
    await asyncio.gather(*(_check_subscribers(host, clients.hosts, ledger) for host in hosts))
    for phone in ledger.phones:
        for host in hosts:
            await _check_phone(host, phone, clients)
    for phone in ledger.phones[:2]:
        clients.calm = True
        if not await clients.register(phone, 3600):
            ledger.fail(f"nobody took a REGISTER of {phone.aor} in good order")
        for host in hosts:
            cseq = await clients.look_up(host, phone)
            if cseq != phone.acked:
                ledger.fail(f"{host.name}: {phone.aor} is {cseq}, just acknowledged {phone.acked}")


async def _check_calls(host: Host, promises: list[Promised], ledger: Ledger) -> None:
    by_call: dict[str, list[bytes]] = {}
    for promised in promises:
        by_call.setdefault(promised.event.call_id, []).append(promised.event.event_id)
    for call_id, event_ids in by_call.items():
        answer = await host.ask(operator_messages.ShowCall(call_id=call_id), 2.0)
        if not isinstance(answer, operator_messages.Calls):
            ledger.fail(f"{host.name} cannot show {call_id}: {answer}")
            continue
        shown = [text for record in answer.calls for text in record.event_ids]
        for event_id in event_ids:
            if shown.count(event_id.hex()) != 1:
                level = ledger.events[event_id].level
                ledger.fail(
                    f"{host.name} shows an event of {call_id} {shown.count(event_id.hex())} times; "
                    f"it was acknowledged as {level}"
                )
        if len(answer.calls) > 1:
            ledger.fail(f"{host.name} has {len(answer.calls)} billing records of {call_id}")
        if any(bytes.fromhex(text) not in ledger.written for text in shown):
            ledger.fail(f"{host.name} shows an event of {call_id} that nobody wrote")


async def _check_subscribers(host: Host, hosts: list[Host], ledger: Ledger) -> None:
    for aor, sworn in ledger.subscribers.items():
        version = sworn.version
        answer = await host.ask(proxy_messages.Authenticate(aor=aor), 1.0)
        if not isinstance(answer, proxy_messages.Secrets):
            ledger.fail(f"{host.name} cannot authenticate {aor}: {answer}")
            continue
        newer = [
            subscriber.with_password(aor, f"secret {number}", number).ha1
            for number in range(version, version + 200)
        ]
        if answer.ha1 not in newer and not sworn.lost_rightly(hosts):
            ledger.fail(f"{host.name} has an old secret of {aor}; {version} was acknowledged")


async def _check_phone(host: Host, phone: Phone, clients: Clients) -> None:
    ledger = clients.ledger
    cseq = await clients.look_up(host, phone)
    if cseq is None:
        ledger.fail(f"{host.name} does not answer where {phone.aor} is")
        return
    if phone.forgotten_rightly(clients.hosts):
        return
    now_s = asyncio.get_running_loop().time()
    if cseq and cseq < phone.acked:
        ledger.fail(f"{host.name} shows CSeq {cseq} of {phone.aor}; {phone.acked} was answered")
    ends = phone.acked_removed or now_s > phone.acked_until_s - clients.clocks_apart_s() - 5.0
    if not cseq and not ends and phone.cseq == phone.acked:
        ledger.fail(f"{host.name} has nothing of {phone.aor}; {phone.acked} was answered")
