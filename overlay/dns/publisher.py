"""Keeps the farm's records in a zone of the operator's own servers (RFC 2136, TSIG).

In: the zone as membership sees it, whenever it changes. Out: dynamic updates to the zone's primary
server. Counterparts: `publication.py` decides what has to change; BIND, Knot, or another server
that takes updates.

Every node has a publisher, and only that of the lowest live id works. If it dies, the next one
learns that from the same membership, and begins by looking up what is published. Nothing is sent if
nothing changed. Every `check_s` seconds the publisher looks up all sets but the hosts, so that a
removed set comes back.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.tsig
import dns.update

from overlay.base import tasks
from overlay.base.addresses import split_address
from overlay.base.errors import SipfarmError, UnavailableError
from overlay.base.limits import DNS_UPDATE_RECORDS_MAX
from overlay.config.config import Config
from overlay.dns import tsig
from overlay.dns.publication import (
    MARK_LABEL,
    Changes,
    Mark,
    RecordSet,
    SetName,
    cautious,
    changes,
    is_host,
    publication,
    publishes,
    read_mark,
)
from overlay.dns.zone import ZoneView
from overlay.observe.figures import gauge, total
from overlay.observe.part import Part

log = logging.getLogger(__name__)

PORT_DEFAULT = 53
SETTLE_S = 0.2
"""Changes within this time go into one update."""
TIMEOUT_S = 5.0
RETRY_FIRST_S = 1.0
RETRY_LONGEST_S = 60.0


class Publisher(Part):
    """The publisher of one node."""

    FIGURES = (
        gauge(
            "sipfarm_dns_publishing",
            "Whether this node publishes the farm's records",
            lambda publisher: publisher.publishing,
        ),
        total(
            "sipfarm_dns_updates_total",
            "Dynamic updates of the farm's records that were accepted",
            lambda publisher: publisher.updates,
        ),
        total(
            "sipfarm_dns_update_failures_total",
            "Failed tries at publishing the farm's records",
            lambda publisher: publisher.failures,
        ),
    )

    def __init__(
        self,
        config: Config,
        own_id: bytes,
        live_ids: Callable[[], Iterable[bytes]],
        view: Callable[[], ZoneView],
        chance: random.Random,
    ) -> None:
        self._settings = config.dns_update
        self._apex = f"{config.farm.name}."
        self._zone = f"{config.dns_update.zone or config.farm.name}."
        self._own_id = own_id
        self._live_ids = live_ids
        self._view = view
        self._chance = chance
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._published: dict[SetName, RecordSet] = {}
        """The sets that this node knows to be there; empty until it has looked."""
        self.publishing = False
        """Whether this node is the one that publishes."""
        self.updates = 0
        self.failures = 0
        self.last_error = ""

    async def start(self) -> None:
        """Begin, if the configuration names a server to publish to."""
        if self._settings.server:
            self._task = asyncio.create_task(self._keep_publishing(), name="dns publisher")

    async def stop(self) -> None:
        """End the task. The published records stay."""
        await tasks.end([self._task])

    def farm_changed(self) -> None:
        """Publish soon, as a node came or went."""
        self._wake.set()

    async def publish(self) -> None:
        """Look once, and bring the published sets up to date; raises `SipfarmError`."""
        self.publishing = publishes(self._own_id, self._live_ids())
        if not self.publishing:
            self._published.clear()
            return
        wanted = publication(cautious(self._view()))
        if not wanted:
            return
        mark = await self._look()
        steps = changes(wanted, self._published, mark.sets)
        if steps.none:
            return
        # If a part of the update fails, it is not known which sets are there. So they count as
        # unknown until all parts were accepted.
        self._published = {}
        for update in self._updates(steps):
            await self._send(update)
        self._published = wanted
        self.updates += 1
        log.info(
            "published in %s: %d sets put, %d deleted",
            self._zone,
            len(steps.put),
            len(steps.delete),
        )

    # inner workings

    async def _keep_publishing(self) -> None:
        tries = 0
        while True:
            try:
                await self.publish()
            except SipfarmError as error:
                self.failures += 1
                if str(error) != self.last_error:
                    log.error("the farm's records cannot be published: %s", error)
                self.last_error = str(error)
                tries += 1
                longest_s = min(RETRY_FIRST_S * 2 ** (tries - 1), RETRY_LONGEST_S)
                await asyncio.sleep(longest_s * self._chance.uniform(0.5, 1.0))
                continue
            tries, self.last_error = 0, ""
            await self._pause()

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(self._settings.check_s):
                await self._wake.wait()
        except TimeoutError:
            return
        await asyncio.sleep(SETTLE_S)
        self._wake.clear()

    async def _look(self) -> Mark:
        """The mark that is there. If a published set was changed, all sets count as unknown."""
        contents = await self._ask(f"{MARK_LABEL}.{self._apex}", "TXT")
        for records in self._published.values():
            if is_host(records, self._apex):
                continue
            if await self._ask(records.name, records.type) != records.contents:
                log.warning("somebody changed what the farm had published in %s", self._zone)
                self._published = {}
                break
        return read_mark(contents, self._apex)

    async def _ask(self, name: str, kind: str) -> frozenset[str]:
        """The records that the server has under this name and type; none if there is no such
        name."""
        query = dns.message.make_query(name, kind)
        query.flags &= ~dns.flags.RD
        answer = await self._exchange(query)
        if answer.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            raise UnavailableError(f"{self._settings.server}: {name} {kind}: {_refusal(answer)}")
        wanted = dns.rdatatype.from_text(kind)
        return frozenset(
            data.to_text()
            for records in answer.answer
            if records.rdtype == wanted and records.name == dns.name.from_text(name)
            for data in records
        )

    def _updates(self, steps: Changes) -> Iterator[dns.update.UpdateMessage]:
        """As few messages as can hold all changes. The server applies each as a whole or not at
        all."""
        update, size = dns.update.UpdateMessage(self._zone), 0
        *sets, mark = steps.put
        for records in sets:
            if size and size + len(records.contents) > DNS_UPDATE_RECORDS_MAX:
                yield update
                update, size = dns.update.UpdateMessage(self._zone), 0
            _put(update, records)
            size += len(records.contents)
        for name, kind in steps.delete:
            update.delete(dns.name.from_text(name), kind)
        _put(update, mark)
        yield update

    async def _send(self, update: dns.update.UpdateMessage) -> None:
        answer = await self._exchange(update)
        if answer.rcode() != dns.rcode.NOERROR:
            raise UnavailableError(
                f"{self._settings.server}: zone {self._zone}: update refused: {_refusal(answer)}"
            )

    async def _exchange(self, message: dns.message.Message) -> dns.message.Message:
        """The server's answer. Both messages are signed. Raises `SipfarmError`."""
        # The key is read each time, so that a changed key is used at once.
        key = tsig.load(Path(self._settings.key_file))
        signing = dns.tsig.Key(key.name, key.secret, key.algorithm)
        message.use_tsig({signing.name: signing})
        host, port = split_address(self._settings.server, PORT_DEFAULT)
        try:
            return await dns.asyncquery.tcp(message, host, timeout=TIMEOUT_S, port=port)
        except (dns.exception.DNSException, OSError, EOFError) as error:
            reason = str(error) or type(error).__name__
            raise UnavailableError(f"{self._settings.server}: {reason}") from error


def _put(update: dns.update.UpdateMessage, records: RecordSet) -> None:
    """Replace the records under this name and type (RFC 2136 2.5.2, 2.5.1)."""
    name = dns.name.from_text(records.name)
    update.delete(name, records.type)
    for content in sorted(records.contents):
        update.add(name, records.ttl_s, records.type, content)


def _refusal(answer: dns.message.Message) -> str:
    """The answer's code, with a hint what to mend."""
    code = answer.rcode()
    hints = {
        dns.rcode.REFUSED: "the server does not allow this key to update the zone",
        dns.rcode.NOTAUTH: "the server does not know this zone, or not this key",
        dns.rcode.NOTZONE: "a name is not in dns_update.zone",
        dns.rcode.NOTIMP: "the server takes no dynamic updates",
    }
    hint = hints.get(code)
    return f"{dns.rcode.to_text(code)} ({hint})" if hint else dns.rcode.to_text(code)
