"""The Unix socket on which the proxies and the command `sipfarm` ask their node's daemon.

Five words:

- request, answer: one message each way, paired by a number.
- deadline: how long the asker waits. Every request states it.
- refusal: a code for programs and a reason for people, in place of an answer.
- farm-wide question: one that goes to every node. Its answers are joined into one.
- readiness: whether this node can serve calls. A write and a read of a record show it.

The way of data:

    client ─▶ server (frames) ─▶ service ─▶ proxy_service, operator_service ─▶ replication, ...
                                                └─▶ farm_wide ─▶ local, here and on every node
"""
