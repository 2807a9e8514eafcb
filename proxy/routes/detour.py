"""Finds another way to a phone whose flow in a dialog is gone: a flow that the phone has now.

In: a request in a dialog, and the flow that its Route names. Out: a binding of the subscriber in
To, with the dialog's Contact; or None. Counterparts: `dialog.py`, where the flow's owner is gone;
`handed_over.py` and `dialog.py` on the owner, where the connection is gone.

RFC 5626 keeps a dialog on its flow. But a phone that loses its node registers through another node,
or is connected to another one already, and its remote target stays the same; so the farm need not
wait until the phone moves the dialog. The To of a request in a dialog names the subscriber that it
is for (RFC 3261 12.2.1.1). No signature covers To, but all that To can choose is a binding of the
same Contact.
"""

from overlay.records.targets import Reach, Target
from proxy import counters, route_token, sip_uri
from proxy.route_token import Flow
from proxy.routes import flows, location, relay
from proxy.worker import Worker


def is_gone(worker: Worker, flow: Flow) -> bool:
    """Whether the flow's owner is known to be dead, or to have left."""
    return flow.owner in worker.shown.gone()


def find(worker: Worker, failed: Flow) -> Target | None:
    """A binding of the subscriber in To that is not on the failed flow; None if there is none."""
    kx = worker.ksr.kx
    user, contact = kx.get_tuser(), kx.get_ruri() or ""
    if not user or (kx.get_thost() or "").lower() not in worker.settings.own_hosts:
        return None
    found = location.of_dialled(worker, user)
    if found is None or isinstance(found, Reach):
        return None
    target = choose(found, contact, failed)
    if target is not None:
        worker.count(counters.DETOURS)
    return target


def aim(worker: Worker, target: Target, call_id: str) -> str:
    """Set the next hop for the target, and keep the dialog's Request-URI; the URI of that hop."""
    hop = flows.aim_at_target(worker, target, call_id, last=True)
    if hop is None:
        worker.ksr.setdsturi(target.uri)
    return hop or target.uri


def send(worker: Worker, method: str, failed: Flow, call_id: str) -> bool:
    """Whether there was another way, and the request left on it."""
    way = find(worker, failed)
    return way is not None and relay.send(worker, method, aim(worker, way, call_id))


def choose(targets: tuple[Target, ...], contact: str, failed: Flow) -> Target | None:
    """The target whose URI is the Contact. If there is none, the only target with the same user and
    host: a phone that registers on a new connection may give another port."""
    others = [
        each
        for target in targets
        for each in (target, *target.backups)
        if not each.received or route_token.flow_of(each.owner, each.received) != failed
    ]
    same = [each for each in others if each.uri == contact]
    if same:
        return same[0]
    alike = [each for each in others if _user_and_host(each.uri) == _user_and_host(contact)]
    return alike[0] if len(alike) == 1 else None


def _user_and_host(uri: str) -> tuple[str, str]:
    user, at, _ = uri.partition(":")[2].partition("@")
    return user if at else "", sip_uri.host_of(uri)
