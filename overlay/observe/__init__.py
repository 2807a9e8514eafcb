"""What the daemon shows of itself.

The words:

- family: the declaration of a metric: name, type, unit, labels and the bound of their values.
- total: a count that only grows.
- gauge: a figure as it is now.
- duration: a histogram of seconds.
- live: the loop turns, and its writes come through.
- ready: the node can serve calls.

The way of data:

    families ─▶ parts ─▶ metrics ─▶ /metrics, docs/metrics.md
    heartbeat ─▶ /live, and systemd's watchdog
"""
