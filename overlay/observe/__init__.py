"""What the daemon shows of itself.

- total: a count that only grows
- gauge: a figure as it is now
- duration: a histogram of seconds
- live: the loop turns, and what it writes comes through
- ready: the node can be of use

    parts -> metrics -> /metrics
    heartbeat -> /live, and systemd's watchdog
"""
