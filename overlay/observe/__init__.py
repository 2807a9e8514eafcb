"""What the daemon shows of itself.

- family: a metric as it is declared, once: name, type, unit, labels and the bound of their values
- total: a count that only grows
- gauge: a figure as it is now
- duration: a histogram of seconds
- live: the loop turns, and what it writes comes through
- ready: the node can be of use

    families -> parts -> metrics -> /metrics, docs/metrics.md
    heartbeat -> /live, and systemd's watchdog
"""
