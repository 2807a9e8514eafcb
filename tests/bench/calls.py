"""Makes the calls of P1 and P2, exactly alike through the farm's element and through the peer's.

In: the element that routes, and the phones' host. Out: a `Side` whose unit of work is a call of
INVITE, 200, ACK, BYE, 200.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from bench import farm, load
from bench.load import Outcome, Stream
from bench.measure import Side
from bench.network import Host
from bench.plan import Plan

_REGISTER_RATE = 100.0


@contextmanager
def calling(
    name: str,
    entry: Host,
    phone: Host,
    namespaces: tuple[str, ...],
    plan: Plan,
    rate: float,
    padding: int = 0,
) -> Iterator[Side]:
    """A side whose callees are registered at `entry` and answer; calls go through `entry`.

    `padding`: bytes by which the INVITE's body is longer.
    """
    files = plan.work_dir / f"phones-{phone.namespace}"
    files.mkdir()
    numbers = range(plan.users)
    callees = load.write_users(files / "callees.csv", [(f"callee{n}",) for n in numbers])
    pairs = load.write_users(files / "pairs.csv", [(f"caller{n}", f"callee{n}") for n in numbers])
    domain = ("domain", farm.DOMAIN)
    contact = (("contact_host", phone.address), ("contact_port", str(load.CALLEE_PORT)))
    registering = Stream(
        scenario="register",
        target=entry.address,
        users=callees,
        count=plan.users,
        rate=_REGISTER_RATE,
        keys=(domain, *contact),
    )
    load.send(phone, files, [registering]).check(f"{name}, registering the callees")

    def work(count: int) -> Outcome:
        stream = Stream(
            scenario="caller",
            target=entry.address,
            users=pairs,
            count=count,
            rate=rate,
            keys=(domain, ("padding", "x" * padding)),
        )
        return load.send(phone, files, [stream])

    with load.answering(phone, files):
        yield Side(name=name, namespaces=namespaces, work=work)
