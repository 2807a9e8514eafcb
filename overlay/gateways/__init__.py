"""Whether the carriers' gateways answer this node.

Four words:

- trunk: a way to a carrier. The operator defines it for the whole farm.
- gateway: one address of a trunk.
- question: an OPTIONS request (RFC 3261 11), sent every few seconds.
- health: whether a gateway counts as down, by its last answers.

The way of data:

    settings ─▶ watching ─▶ ask_gateway ─▶ health ─▶ the file that the workers read
"""
