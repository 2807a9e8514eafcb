"""The daemon `sipfarm-overlay` and the command `sipfarm`: what the nodes of a farm share.

Every node runs one daemon. Kamailio's workers ask the daemon of their own node; the daemons of all
nodes hold the farm's records together.

- record: what the farm knows under one key (a registration, the events of a call, a subscriber)
- replica: one of the N nodes that hold a record
- quorum: the W replicas that must have a write before it is acknowledged
- lease: a promise of a replica to tell a node of changes, for so long
- link: a mutual-TLS connection to another node

    proxy worker -> control -> replication -> links -> the same on other nodes -> storage
                                   |
                                   +-> cache -> Redis -> the worker's next lookup

Imports go downwards only; `[tool.importlinter]` in pyproject.toml names the layers.
"""
