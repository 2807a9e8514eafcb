"""The Unix socket on which proxies and the command `sipfarm` ask their node's daemon.

- request, answer: one message each way, paired by a number
- deadline: how long the asker waits, in every request
- refusal: a code for programs and a reason for people, in place of an answer
- farm-wide question: one that every node is asked, whose answers become one
- readiness: whether this node can be of use, found out by a write and a read

    client -> server (frames) -> service -> proxy_service, operator_service -> replication, ...
                                    +-> farm_wide -> local, and `local` on every other node
"""
