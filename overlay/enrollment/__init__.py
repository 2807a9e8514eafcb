"""Decides which nodes may come into the farm, and which nodes no longer may.

- token: a line of text that lets one node in, once, until it expires
- authority: the farm's CA on the operator's machine, and the service in front of it
- request: a node's public key and name, to be signed
- renewal: a new certificate for the same key, before the old one expires
- revocation: the operator's signed list of nodes that are kept out

    token -> joining -> service (at the authority) -> identity files -> renewal
    revocation list -> revoker -> links are broken and refused
"""
