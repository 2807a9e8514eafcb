"""One maintenance at a time: who may drain, who may be stopped, and the lease that says so.

- drain: a node hands its records over and takes no new ones
- lease: held by the one node of the farm that may drain
- verdict: the reasons against draining or stopping a node; none: it may
- record name: what an operator calls a record of which the node knows the key

    sipfarm node drain -> maintenance -> verdict -> lease_keeper (on every other node)
                              +-> replication/drain
"""
