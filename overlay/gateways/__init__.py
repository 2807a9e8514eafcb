"""Whether the carriers' gateways answer this node.

- trunk: a way to a carrier, decided by the operator for the whole farm
- gateway: one address of a trunk
- question: OPTIONS (RFC 3261 11), sent every few seconds
- health: how a gateway counts, after the last questions

    settings -> watching -> ask_gateway -> health -> the file that the workers read
"""
