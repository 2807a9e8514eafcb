"""Every bound of the daemon and of the control socket, in one place, with a sentence for each.

Nothing that others can make large grows without a bound. Code that hits a bound gives its caller a
clear error, and the hit is counted. Counterparts: docs/configuration.md, which `deploy/docs` makes
of this file; DESIGN.md says what happens when a bound is hit.
"""

from typing import Final

FRAME_HEADER_BYTES: Final = 4
"""Size of the big-endian length in front of each frame, on links and on the control socket."""

LINK_FRAME_BYTES_MAX: Final = 1 << 20
"""Size of one frame between two nodes."""
CONTROL_REQUEST_BYTES_MAX: Final = 256 << 10
"""Size of one request that a proxy's worker or the command sends to the daemon."""
CONTROL_REPLY_BYTES_MAX: Final = 4 << 20
"""Size of one answer of the daemon to a proxy's worker or to the command."""

LINKS_MAX: Final = 2_000
"""Links that a node has open at a time."""
LINKS_PER_PEER_MAX: Final = 4
"""Links that one other node may have to this node. One is in use; there are others while both ends
dial at once or one of them restarts."""
HANDSHAKES_MAX: Final = 256
"""Connections from other nodes that have not said yet which node they are."""
DATAGRAMS_PER_S_MAX: Final = 5_000
"""UDP pings and answers that a node reads in a second; a node that all others probe gets a few."""
REQUESTS_OUTSTANDING_PER_LINK_MAX: Final = 20_000
"""Requests of this node that wait for an answer on one link."""
REQUESTS_SERVED_PER_LINK_MAX: Final = 20_000
"""Requests of another node on one link that this node has not answered yet."""
REQUEST_BYTES_SERVED_PER_LINK_MAX: Final = 64 << 20
"""Size of all requests of another node on one link that this node has not answered yet."""
LINK_SEND_BUFFER_BYTES_MAX: Final = 16 << 20
"""Bytes that wait to be sent on one link because the other node does not read them."""
CONTROL_CONNECTIONS_MAX: Final = 512
"""Connections of proxies' workers and commands to the daemon."""
CONTROL_REQUESTS_OUTSTANDING_MAX: Final = 1_000
"""Requests on one such connection that the daemon has not answered yet; each worker of a proxy has
one connection."""
CONTROL_SEND_BUFFER_BYTES_MAX: Final = 16 << 20
"""Answers that wait on one such connection because the client has stopped reading."""

URI_CHARS_MAX: Final = 1_024
"""Length of a contact's URI, of an address-of-record, and of an entry in a subscriber's policy."""
HEADER_CHARS_MAX: Final = 1_024
"""Length of any text from a SIP message that the farm stores, such as a Call-ID or a tag."""
SIP_FIELD_CHARS_MAX: Final = 8 << 10
"""Length of one header field, or of the first line, of a SIP message; a proxy refuses a request
with a longer one, and drops such an answer."""
SIP_REQUEST_BYTES_MAX: Final = 16 << 10
"""Size of a SIP request outside of dialogs, body included."""
BINDINGS_PER_AOR_MAX: Final = 128
"""Bindings in the registration record of one address-of-record, removed ones included while their
removal must be remembered."""

CALLS_OF_SUBSCRIBER_MAX: Final = 5_000
"""The highest limit of calls at a time that a subscriber may be given."""
CLAIMS_PER_SUBSCRIBER_MAX: Final = 10_000
"""Calls at a time that a node counts for one subscriber whose calls are limited."""
CLAIMS_MAX: Final = 500_000
"""Calls at a time that a node counts for all subscribers whose calls are limited, 400 bytes
each."""
CLAIMS_PER_FRAME_MAX: Final = 500
"""Counted calls in one frame to another replica, or in one question about them."""

REGISTRATIONS_MAX: Final = 4_000_000
"""Registration records that one node holds, 330 bytes each."""

EVENTS_PER_CALL_MAX: Final = 10_000
"""Events of one call that other nodes may store at this node, repetitions included; a call of a day
has about a hundred."""
CALLS_COUNTED_MAX: Final = 50_000
"""Calls whose events a node counts for the limit on events of one call."""
OPEN_CALLS_MAX: Final = 200_000
"""Calls whose end a replica waits for in memory, to close them if their BYE never comes."""
DOUBTFUL_CALLS_MAX: Final = 10_000
"""Calls of which a replica has to look up whether they have ended."""
UNSIGNED_EVENTS_MAX: Final = 100_000
"""Call events that wait for a signed block while the disk refuses it, 150 bytes each."""
CHAINS_SEEN_MAX: Final = 1_000
"""Other nodes whose last signed block a node confirms in its own next block, 90 bytes each."""
COMMIT_BATCH_MAX: Final = 1_000
"""Rows that the database writes in one transaction."""
COMMIT_QUEUE_MAX: Final = 20_000
"""Rows that wait for the disk."""
UNSETTLED_EVENTS_MAX: Final = 20_000
"""Call events that are safe in the log and not yet in the database, about a KiB each."""
ROTTEN_ROWS_MAX: Final = 10_000
"""Damaged rows (their checksum is wrong) that a node keeps aside; beyond, the oldest are
deleted."""
ROTTEN_ROWS_TOLD_MAX: Final = 10_000
"""Damaged rows that a node remembers having logged, so that it logs each once; further rows are
logged each time they are found."""

HOT_RECORDS_MAX: Final = 200_000
"""Registrations that a node keeps in its cache, and as many subscribers, and as many changes on
their way to Redis."""
LEASE_HOLDERS_PER_KEY_MAX: Final = 256
"""Nodes that may have one record in their cache and are told of its changes."""
LEASED_KEYS_MAX: Final = 500_000
"""Records of a node that other nodes may have in their caches."""
PAGE_ROWS_MAX: Final = 1_000
"""Rows in one page of an answer, as of `sipfarm cdr list`."""
PAGE_BYTES_MAX: Final = 256 << 10
"""Size of the call events in one page of a node's answer; the page ends with the call that exceeds
it."""

RECORDS_FOLLOWED_MAX: Final = 200_000
"""Records that `sipfarm cdr tail` remembers having shown."""
COPIES_BYTES_MAX: Final = 2 << 20
"""Size of the copies of call events in one answer to `sipfarm cdr verify`; the answer ends with the
call that exceeds it."""

DNS_QUESTION_BYTES_MAX: Final = 64 << 10
"""Size of one question of PowerDNS to the daemon."""
DNS_CONNECTIONS_MAX: Final = 64
"""Connections of PowerDNS to the daemon; it opens one for each of its threads."""
DNS_UPDATE_RECORDS_MAX: Final = 400
"""Records in one dynamic update of the operator's zone, unless one record set alone has more."""
HTTP_LINE_BYTES_MAX: Final = 8_190
"""Size of the first line of an HTTP request for metrics or readiness, and of each of its header
fields."""
HTTP_FIELDS_MAX: Final = 64
"""Header fields of such a request."""
HTTP_CONNECTIONS_MAX: Final = 64
"""HTTP connections for metrics and readiness."""
HTTP_CONNECTIONS_PER_SOURCE_MAX: Final = 8
"""HTTP connections for metrics and readiness from one address."""
KAMAILIO_ANSWER_BYTES_MAX: Final = 128 << 10
"""Size of one answer of Kamailio to the daemon."""
KAMAILIO_FIGURES_MAX: Final = 2_000
"""Kamailio's own figures that a node shows among its metrics."""

IDENTITY_FILE_BYTES_MAX: Final = 64 << 10
"""Size of a file with a key, a certificate or another secret."""
REVOKED_NODES_MAX: Final = 8_000
"""Nodes on the list of revoked nodes, which has to fit into one control request."""
REVOKED_FILE_BYTES_MAX: Final = 256 << 10
"""Size of the file with the list of revoked nodes."""
ENROLLMENT_PORT_DEFAULT: Final = 7461
"""TCP port of `sipfarm ca serve` where none is given."""
ENROLLMENT_FRAME_BYTES_MAX: Final = 512 << 10
"""Size of one question or answer of enrollment; an answer contains the list of revoked nodes."""
ENROLLMENT_CONNECTIONS_MAX: Final = 64
"""Nodes that may be connected to `sipfarm ca serve` at a time."""
ENROLLMENT_FAILURES_PER_MINUTE_MAX: Final = 10
"""Failed enrollments of one IP address in a minute; beyond, the service tells it to try
again later."""
ENROLLMENT_ADDRESSES_MAX: Final = 10_000
"""IP addresses whose failed enrollments are counted."""
UNPROVEN_NAMED_MAX: Final = 10
"""Records that `sipfarm node drain` names when it waits for them; as many call events and nodes."""
LOCKOUTS_MAX: Final = 50_000
"""Users and IP addresses that are locked out at a time because of wrong passwords."""
LOGIN_FAILURES_REMEMBERED_MAX: Final = 50_000
"""Users and IP addresses whose wrong passwords are counted."""
PASSWORD_CHARS_MAX: Final = 256
"""Length of a subscriber's password."""
POLICY_ENTRIES_MAX: Final = 64
"""Destinations in one list of a subscriber's policy, and identities in another."""
SUBSCRIBERS_PER_FILE_MAX: Final = 1_000_000
"""Subscribers in one file that `sipfarm subscriber add` reads."""
SETTINGS_BYTES_MAX: Final = 192 << 10
"""Size of the settings that the whole farm shares (trunks and numbers), which have to fit into one
control request."""
TRUNKS_MAX: Final = 200
"""Trunks of the farm."""
GATEWAYS_PER_TRUNK_MAX: Final = 16
"""Gateways of one trunk."""
TRUNK_ENTRIES_MAX: Final = 2_000
"""Prefixes, domains, sources or rules of one trunk."""

MEMBERS_MAX: Final = 4_000
"""Other nodes that a node keeps in mind, those that died in the last days included."""
GOSSIP_UPDATES_MAX: Final = 32
"""Pieces of news about nodes in one frame."""
GOSSIP_QUEUE_MAX: Final = 4_096
"""Pieces of news about nodes that wait to be passed on."""
DISCOVERED_ADDRESSES_MAX: Final = 256
"""Addresses at which a node that has lost all others looks for the farm."""
DIALS_MAX: Final = 64
"""Connections to other nodes that a node tries to open at a time."""
CONTACTS_TOLD_MAX: Final = 256
"""Nodes in one answer to FIND_NODE."""
COMPARED_UPDATES_MAX: Final = 512
"""Nodes in one answer to a comparison of the lists of two nodes."""
REQUESTS_WAITING_PER_PEER_MAX: Final = 1_000
"""Requests to another node that wait while the link to it is opened."""
