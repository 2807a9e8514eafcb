"""Keeps one address from filling the memory of a node.

In: a request that the node would have to remember something of. Out: whether to go on; if not, it
is answered 503. Counterpart: `proxy/source_quota.py`.

An INVITE is remembered for up to 200 s: as a pin, and whole where it has a transaction. So an
address may send the bytes of so many requests in that time. Carriers, trusted peers and emergency
calls are exempt, as they are from the limit on floods. All of Kamailio's memory together is looked
after in `proxy/load.py`.
"""

from proxy import counters
from proxy.routes import responses, trunks
from proxy.worker import Worker


def pass_source(worker: Worker, length: int) -> bool:
    """Whether the address that a request of `length` bytes came from has room left on this node."""
    address = worker.ksr.kx.get_srcip()
    if worker.requests_quota.take(address, length):
        return True
    if (
        worker.settings.trusts(address)
        or trunks.source(worker) is not None
        or trunks.emergency(worker)
    ):
        return True
    worker.count(counters.SOURCES_FULL)
    responses.retry_later(worker)
    return False
