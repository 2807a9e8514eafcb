"""`[billing]`, `[export]`, `[export.kafka]`: which call events are written, and where records go.

In: nothing. Out: types of sections. Counterparts: `overlay.billing` and its sinks.
"""

from typing import Literal

from overlay.config.sections.section import Section
from overlay.config.values import (
    AboveZero,
    Brokers,
    Table,
    Topic,
    WebUrlOrEmpty,
    ZeroOrMore,
)


class BillingSection(Section, frozen=True, kw_only=True):
    """Call events, of which the billing records are made."""

    enabled: bool = True
    """Whether the farm writes a START event before it forwards the answer of a call, and a STOP
    event before it forwards the BYE."""
    when_unwritable: Literal["serve", "refuse"] = "serve"
    """What happens to new calls while no event can be written. `serve`: they go on without a
    record, and are counted. `refuse`: they are refused with 503."""
    attempts: bool = False
    """Whether the farm also writes an ATTEMPT event for a call that the called side refuses."""
    session_s: ZeroOrMore = 1_800
    """The Session-Expires (RFC 4028) that the farm asks for in each call, so that a call ends whose
    phone has vanished. Phones refresh their calls after half of it. 0: the farm does not ask."""
    session_min_s: AboveZero = 90
    """The Min-SE (RFC 4028) of the farm. A call that asks for a shorter Session-Expires is refused
    with 422."""
    close_grace_s: ZeroOrMore = 60
    """How long after the end of its Session-Expires a call is closed that was neither refreshed nor
    ended by a BYE."""
    retention_days: ZeroOrMore = 90
    """How many days after its last event a call is shown. It is deleted one day later, once every
    place that records are exported to has it. The same on every node. 0: calls are kept for
    ever."""
    call_max_s: AboveZero = 43_200
    """After how long a call without a session timer is closed whose BYE never came. Its record ends
    with the last sign of life, so that no second is billed that nobody can vouch for."""


class KafkaSection(Section, frozen=True, kw_only=True):
    """A Kafka topic that billing records are sent to."""

    brokers: Brokers = ()
    """Some of the cluster's brokers, by which the node finds the others. Empty: records are not
    sent to Kafka."""
    topic: Topic = "sipfarm-cdr"
    """The topic that records are sent to. The operator makes it, or the brokers do if they are set
    up to make topics on demand."""
    tls: bool = False
    """Whether the node connects to the brokers with TLS."""
    ca_file: str = ""
    """A PEM file with the CAs of the brokers' certificates. Empty: the CAs that the system
    trusts."""
    certificate_file: str = ""
    """A PEM file with the certificate that this node shows to brokers that ask for one. Empty: the
    node shows none."""
    key_file: str = ""
    """A PEM file with the key of `certificate_file`. Empty: the key is in `certificate_file`."""
    sasl: Literal["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = ""
    """The SASL mechanism by which the node proves to the brokers that it is `user`. Empty: it does
    not."""
    user: str = ""
    """The user name for `sasl`; it is empty where `sasl` is."""
    password_file: str = "/etc/sipfarm/kafka.password"
    """A file with the password of `user`."""


class ExportSection(Section, frozen=True, kw_only=True):
    """Where billing records go outside the farm. Every record goes to all places that are
    configured, at least once, with an id that stays the same. The same on every node."""

    files: tuple[Literal["csv", "jsonl"], ...] = ()
    """The formats of the files that billing records are written to, by the node that exports a
    record. Empty: no files are written."""
    directory: str = "/var/lib/sipfarm/cdr"
    """The directory of the files with billing records. A file whose name does not end in `.part` is
    complete."""
    rotate_s: AboveZero = 3_600
    """The age at which a file with billing records is completed and a new one begun."""
    rotate_mib: AboveZero = 64
    """The size at which a file with billing records is completed and a new one begun."""
    postgresql: str = ""
    """How to connect to the PostgreSQL database that takes billing records, in the words of libpq:
    `host=… dbname=… user=… passfile=…`, or a URL. Empty: no database takes them."""
    postgresql_table: Table = "cdr"
    """The table of the PostgreSQL database that records are written to, `table` or `schema.table`.
    The farm makes it if it is not there."""
    webhook: WebUrlOrEmpty = ""
    """The URL that billing records are posted to. Empty: records are not posted."""
    webhook_secret_file: str = "/etc/sipfarm/webhook.secret"
    """A file with the secret that posts to `webhook` are signed with."""
    kafka: KafkaSection = KafkaSection()
