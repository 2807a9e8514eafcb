"""One maintenance at a time: which node may drain, and which may be stopped.

Four words:

- drain: a node hands its records over to others and takes no new ones.
- lease: the right to drain. One node of the farm holds it at a time.
- verdict: the reasons against draining or stopping a node. Without reasons it may be done.
- record name: the name that an operator uses for a record of which the node knows the key.

The way of data:

    sipfarm node drain ─▶ maintenance ─▶ verdict ─▶ lease_keeper (on every other node)
                              └─▶ replication/drain
"""
