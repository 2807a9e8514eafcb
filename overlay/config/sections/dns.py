"""`[dns]`, `[dns_update]`: how phones find the farm by name.

In: nothing. Out: types of sections. Counterpart: `overlay.dns`.
"""

from overlay.config.sections.section import Section
from overlay.config.values import (
    AboveZero,
    HostOrEmpty,
    Port,
)


class DnsSection(Section, frozen=True, kw_only=True):
    """The farm's DNS zone, which PowerDNS on each node serves."""

    enabled: bool = True
    """Whether this node serves the farm's zone."""
    ttl_s: AboveZero = 60
    """The TTL of every DNS answer. Phones that lose a node go to another one of the answer that
    they have; they need no new answer for that."""
    port: Port = 53
    """The DNS port, on UDP and on TCP."""


class DnsUpdateSection(Section, frozen=True, kw_only=True):
    """The farm's records in a zone of the operator's own name servers, kept up to date by dynamic
    update (RFC 2136)."""

    server: HostOrEmpty = ""
    """The primary server of the zone; the default port is 53. Empty: the farm updates no zone."""
    zone: str = ""
    """The zone that the farm's name is in. Empty: the farm's name is the zone."""
    key_file: str = "/etc/sipfarm/dns-update.key"
    """A file with the TSIG key, as `tsig-keygen` (BIND) or `keymgr -t` (Knot) writes it, or in one
    line `algorithm:name:secret`."""
    check_s: AboveZero = 60
    """How often the node that updates the zone checks that the farm's records are still there."""
