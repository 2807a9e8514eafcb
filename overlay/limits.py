"""Every bound of the daemon and of the control socket, in one place.

A bound that is hit gives its caller a clear error and is counted; nothing grows without one.
"""

from typing import Final

FRAME_HEADER_BYTES: Final = 4
"""Big-endian length of the payload that follows, on links and on the control socket alike."""

LINK_FRAME_BYTES_MAX: Final = 1 << 20
CONTROL_REQUEST_BYTES_MAX: Final = 256 << 10
CONTROL_REPLY_BYTES_MAX: Final = 4 << 20

LINKS_MAX: Final = 2_000
LINKS_PER_PEER_MAX: Final = 4
"""One is used; others are there while both ends dial at once or one restarts."""
HANDSHAKES_MAX: Final = 256
"""Connections of members that did not say hello yet."""
DATAGRAMS_PER_S_MAX: Final = 5_000
"""Pings and answers beside the links; a member that is probed by all others gets a few a second."""
REQUESTS_OUTSTANDING_PER_LINK_MAX: Final = 20_000
REQUESTS_SERVED_PER_LINK_MAX: Final = 20_000
"""Requests of the peer that were not answered yet."""
REQUEST_BYTES_SERVED_PER_LINK_MAX: Final = 64 << 20
"""Of the same."""
LINK_SEND_BUFFER_BYTES_MAX: Final = 16 << 20
CONTROL_CONNECTIONS_MAX: Final = 512
CONTROL_REQUESTS_OUTSTANDING_MAX: Final = 1_000
"""Of one connection; a proxy's worker has one."""
CONTROL_SEND_BUFFER_BYTES_MAX: Final = 16 << 20
"""Answers to requests that were under way when the client stopped to read."""

URI_CHARS_MAX: Final = 1_024
HEADER_CHARS_MAX: Final = 1_024
BINDINGS_PER_AOR_MAX: Final = 128
"""Entries of a registration record, tombstones included."""

CALLS_OF_SUBSCRIBER_MAX: Final = 5_000
"""The highest limit that one may have."""
CLAIMS_PER_SUBSCRIBER_MAX: Final = 10_000
CLAIMS_MAX: Final = 500_000
"""Of all subscribers whose calls are limited, 400 bytes each."""
CLAIMS_PER_FRAME_MAX: Final = 500
"""Sent to another replica, or looked up there."""

REGISTRATIONS_MAX: Final = 4_000_000
"""Registration records of one node, 330 bytes each."""

EVENTS_PER_CALL_MAX: Final = 10_000
"""That peers may store under one key, repetitions included; a call of a day has about a hundred."""
CALLS_COUNTED_MAX: Final = 50_000
"""Whose events are counted."""
OPEN_CALLS_MAX: Final = 200_000
"""Whose end a replica awaits."""
UNSIGNED_EVENTS_MAX: Final = 100_000
"""That wait for a block, should the disk refuse it; 150 bytes each."""
CHAINS_SEEN_MAX: Final = 1_000
"""Of other nodes, whose last blocks a node vouches for in its next one; 90 bytes each."""
COMMIT_BATCH_MAX: Final = 1_000
COMMIT_QUEUE_MAX: Final = 20_000
UNSETTLED_EVENTS_MAX: Final = 20_000
"""Call events that are safe in a log and that the database does not take; about a KiB each."""
ROTTEN_ROWS_MAX: Final = 10_000
"""Rows with a wrong checksum that are kept aside; then the oldest go."""
ROTTEN_ROWS_TOLD_MAX: Final = 10_000
"""That are logged once; beyond, as often as they are found."""

HOT_RECORDS_MAX: Final = 200_000
LEASE_HOLDERS_PER_KEY_MAX: Final = 256
LEASED_KEYS_MAX: Final = 500_000
PAGE_ROWS_MAX: Final = 1_000
PAGE_BYTES_MAX: Final = 256 << 10
"""Of call events in one page of a node; a page ends with the call that exceeds it."""

RECORDS_FOLLOWED_MAX: Final = 200_000
"""That `sipfarm cdr tail` remembers to have told."""
COPIES_BYTES_MAX: Final = 2 << 20
"""Of events in one answer to the CLI; it ends with the call that exceeds it."""

DNS_QUESTION_BYTES_MAX: Final = 64 << 10
DNS_CONNECTIONS_MAX: Final = 64
"""PowerDNS opens one for each of its threads."""
DNS_UPDATE_RECORDS_MAX: Final = 400
"""In one dynamic update, if one set alone has not more."""
HTTP_REQUEST_BYTES_MAX: Final = 16 << 10
HTTP_CONNECTIONS_MAX: Final = 32
KAMAILIO_ANSWER_BYTES_MAX: Final = 128 << 10
KAMAILIO_FIGURES_MAX: Final = 2_000

IDENTITY_FILE_BYTES_MAX: Final = 64 << 10
REVOKED_NODES_MAX: Final = 8_000
"""In one revocation list, which has to fit into a control request."""
REVOKED_FILE_BYTES_MAX: Final = 256 << 10
ENROLLMENT_PORT_DEFAULT: Final = 7461
ENROLLMENT_FRAME_BYTES_MAX: Final = 512 << 10
"""Of questions and answers; an answer carries the revocation list."""
ENROLLMENT_CONNECTIONS_MAX: Final = 64
ENROLLMENT_FAILURES_PER_MINUTE_MAX: Final = 10
"""Of one address."""
ENROLLMENT_ADDRESSES_MAX: Final = 10_000
"""Whose failures are remembered."""
UNPROVEN_NAMED_MAX: Final = 10
"""Records, nodes and call events that a node that drains names, each."""
LOCKOUTS_MAX: Final = 50_000
LOGIN_FAILURES_REMEMBERED_MAX: Final = 50_000
"""Users and addresses whose failures are counted."""
PASSWORD_CHARS_MAX: Final = 256
POLICY_ENTRIES_MAX: Final = 64
"""Destinations, and identities, of one subscriber."""
SUBSCRIBERS_PER_FILE_MAX: Final = 1_000_000
SETTINGS_BYTES_MAX: Final = 192 << 10
"""Of the farm's settings, which have to fit into a control request."""
TRUNKS_MAX: Final = 200
GATEWAYS_PER_TRUNK_MAX: Final = 16
TRUNK_ENTRIES_MAX: Final = 2_000
"""Prefixes, domains, sources or rules of one trunk."""

MEMBERS_MAX: Final = 4_000
"""Other nodes that a node keeps in mind, the dead of the last days included."""
GOSSIP_UPDATES_MAX: Final = 32
"""In one frame."""
GOSSIP_QUEUE_MAX: Final = 4_096
DISCOVERED_ADDRESSES_MAX: Final = 256
"""Where a node that is alone looks for the farm."""
DIALS_MAX: Final = 64
"""Under way at a time."""
CONTACTS_TOLD_MAX: Final = 256
"""In one answer to FIND_NODE."""
COMPARED_UPDATES_MAX: Final = 512
"""Members in one answer to a comparison of lists."""
REQUESTS_WAITING_PER_PEER_MAX: Final = 1_000
"""For a link that is being dialled."""
