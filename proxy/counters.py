"""The names of what the routing script counts; Kamailio's statistics, group `sipfarm`.

In: increments by the routes. Out: `stats.get_statistics` and `cnt.get sipfarm NAME` on the
JSON-RPC socket. Counterparts: `kamailio.cfg.j2` declares them, the daemon's /metrics shows them.
Requests by method, those forwarded, and replies are counted by Kamailio itself (groups `core`,
`sl`).
"""

from typing import Final

LOOKUPS_HOT: Final = "lookups_hot"
"""Targets found in Redis."""
LOOKUPS_COLD: Final = "lookups_cold"
"""Answered by the daemon, whatever the answer."""
LOOKUPS_FAILED: Final = "lookups_failed"
"""No answer within the deadline."""
CACHE_FAILED: Final = "cache_failed"
"""Redis gave no answer, or one that cannot be read."""
DAEMON_FAILED: Final = "daemon_failed"
"""Questions of any kind to which the daemon gave no answer, refused, or was not asked because it
had just failed."""
REGISTERS_DONE: Final = "registers_done"
REGISTERS_REFUSED: Final = "registers_refused"
REGISTERS_FAILED: Final = "registers_failed"
"""No answer within the deadline, or too few replicas."""
AUTH_CHALLENGES: Final = "auth_challenges"
AUTH_STALE: Final = "auth_stale"
"""Challenges because the nonce was too old, another node's, or used before."""
AUTH_FAILURES: Final = "auth_failures"
"""Wrong password, or unknown user."""
AUTH_UNKNOWN: Final = "auth_unknown"
"""Of those, the unknown users."""
IDENTITIES_REFUSED: Final = "identities_refused"
"""Requests with the credentials of one subscriber in the name of another."""
IDENTITIES_REMOVED: Final = "identities_removed"
"""P-Asserted-Identity fields of senders that are not trusted, or that wanted privacy."""
POLICY_BLOCKED: Final = "policy_blocked"
"""Requests of blocked subscribers."""
POLICY_DESTINATIONS: Final = "policy_destinations"
"""Requests to where their subscriber may not call."""
POLICY_RATES: Final = "policy_rates"
"""INVITEs above their subscriber's calls a second."""
RELAY_REFUSED: Final = "relay_refused"
"""Requests to elsewhere by nobody of ours."""
FORWARD_FAILED: Final = "forward_failed"
TRANSACTIONS: Final = "transactions"
"""Requests sent on with a transaction."""
HANDED_OVER: Final = "handed_over"
"""Requests sent to the node that holds the flow."""
FLOWS_DELIVERED: Final = "flows_delivered"
"""Requests that another node handed over, put on their flow."""
FLOWS_BROKEN: Final = "flows_broken"
"""Of those, the ones whose flow was gone."""
FLOWS_REPLACED: Final = "flows_replaced"
"""Flows that had failed and for which another one of the same device was tried."""
DROPPED_FOR_RETRY: Final = "dropped_for_retry"
"""UDP requests dropped so that the retransmission finds an answer."""
EVENTS_WRITTEN: Final = "events_written"
EVENTS_REPEATED: Final = "events_repeated"
"""Retransmissions whose event this worker knew to be safe."""
EVENTS_DROPPED: Final = "events_dropped"
"""Messages held back because their event could not be made safe."""
CALLS_REFUSED: Final = "calls_refused"
"""INVITEs answered 503 while no event could be written."""
CALLS_AT_RISK: Final = "calls_at_risk"
"""INVITEs served while no event could be written."""
MALFORMED: Final = "malformed"
SCANNERS: Final = "scanners"
PYTHON_ERRORS: Final = "python_errors"

COUNTERS: Final = tuple(
    sorted(value for name, value in dict(globals()).items() if name.isupper() and name[0] != "_")
)
