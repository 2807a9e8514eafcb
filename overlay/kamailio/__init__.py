"""What the daemon asks its own node's Kamailio.

Five words:

- question: an OPTIONS request by UDP, which any living worker answers.
- away: Kamailio has not answered for too long. The node leaves DNS.
- withdrawn: the operator is about to stop Kamailio. The node leaves DNS before that.
- figures: Kamailio's statistics, shown beside the daemon's own.
- RPC: a command over Kamailio's datagram socket.

The way of data:

    options_ping ─▶ watcher ─▶ watch (decides) ─▶ membership announces it ─▶ dns
    rpc ─▶ figures (under the names of statistics) ─▶ /metrics
    rpc ─▶ watcher, where answers are missing
"""
