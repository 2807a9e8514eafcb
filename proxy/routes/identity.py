"""The identity of a request's sender, as the farm vouches for it (RFC 3325, RFC 3323).

In: an initial request, and the subscriber who proved to have sent it. Out: the request with one
P-Asserted-Identity that is true, or with none.

What a peer in `proxy.trusted_peers` asserts is believed; what anybody else asserts is taken away.
`Privacy: id` keeps the identity from everybody but trusted peers, phones of the farm included.
"""

from typing import Final
from urllib.parse import quote

from overlay.records.names import address_of_record
from proxy import counters, sip_uri
from proxy.routes import fields
from proxy.routes.auth import AuthenticatedSubscriber
from proxy.worker import Worker

ANONYMOUS_HOST: Final = "anonymous.invalid"
"""RFC 3323 4.1.1.3."""
_ASSERTED: Final = "P-Asserted-Identity"
_PREFERRED: Final = "P-Preferred-Identity"
_USER_CHARACTERS: Final = "-_.!~*'()&=+$,;?/"
"""Characters that stand unescaped in a user part (RFC 3261 25.1)."""


def preferred(worker: Worker) -> str:
    """The subscriber that the sender wants to be known as (P-Preferred-Identity); empty if it names
    none."""
    value = worker.ksr.hdr.get_idx(_PREFERRED, 0)
    if value is None:
        return ""
    uri = value.partition("<")[2].partition(">")[0] if "<" in value else value.strip()
    if uri[:4].lower() != "sip:" or sip_uri.host_of(uri) not in worker.settings.own_hosts:
        return ""
    return address_of_record(uri[4:].partition("@")[0], worker.settings.farm) if "@" in uri else ""


def assert_sender(
    worker: Worker,
    subscriber: AuthenticatedSubscriber | None,
    from_aor: str,
    *,
    from_carrier: bool = False,
    to_carrier: bool = False,
) -> None:
    """Leave in the request the identity that is true and that its next hop may know.

    `subscriber` has proved to be the sender; None if nobody has. `from_aor` is the subscriber in
    From. Carriers are trusted: their assertions are believed, and they get the identity together
    with the wish for privacy.
    """
    hdr, kx, settings = worker.ksr.hdr, worker.ksr.kx, worker.settings
    wanted = ""
    if hdr.is_present(_PREFERRED) > 0:
        wanted = preferred(worker)
        hdr.remove(_PREFERRED)
    asserted = hdr.is_present(_ASSERTED) > 0
    if subscriber is None and not asserted:
        return
    if subscriber is not None:
        known_as = next(
            (each for each in (wanted, from_aor) if subscriber.may_be(each)), subscriber.aor
        )
        user = quote(known_as.rpartition("@")[0], safe=_USER_CHARACTERS)
        worker.caller, worker.asserted = subscriber.aor, f"sip:{user}@{settings.farm}"
    may_know = (
        to_carrier or not _is_private(worker) or _is_trusted_host(worker, kx.get_rhost() or "")
    )
    if subscriber is None and (from_carrier or settings.trusts(kx.get_srcip())):
        worker.asserted = sip_uri.of_name_address(fields.text(worker, f"$hdr({_ASSERTED})"))
        if may_know:
            return
    if asserted:
        worker.count(counters.IDENTITIES_REMOVED)
        hdr.remove(_ASSERTED)
    if subscriber is not None and may_know:
        hdr.append(f"{_ASSERTED}: <{worker.asserted}>\r\n")


def remove_untrusted(worker: Worker) -> None:
    """Take away the identity that the sender of a reply, or of a request in a dialog, asserts of
    itself, unless that sender is trusted."""
    if worker.ksr.hdr.is_present(_ASSERTED) < 0:
        return
    if not worker.settings.trusts(worker.ksr.kx.get_srcip()):
        worker.count(counters.IDENTITIES_REMOVED)
        worker.ksr.hdr.remove(_ASSERTED)


def _is_private(worker: Worker) -> bool:
    values = ";".join(fields.all_of(worker, "Privacy")).replace(",", ";").lower()
    return "id" in (value.strip() for value in values.split(";"))


def _is_trusted_host(worker: Worker, host: str) -> bool:
    return host.lower() in worker.settings.trusted_names or worker.settings.trusts(host)
