"""What the daemon asks of its own node's Kamailio.

- question: OPTIONS by UDP, which any living worker answers
- away: Kamailio has not answered for too long; the node leaves DNS
- withdrawn: the operator is about to stop Kamailio; the node leaves DNS before
- figures: Kamailio's statistics, shown beside the daemon's own
- RPC: a command over Kamailio's datagram socket

    options_ping -> watcher -> watch (decides) -> membership announces it -> dns
    rpc -> figures (under the names of statistics) -> /metrics
    rpc -> watcher, where answers are missing
"""
