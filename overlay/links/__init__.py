"""How nodes talk: mutual TLS between every two nodes, and small datagrams beside the TLS links.

Five words:

- hello: the first frame of each side. It says which node it is and what the node understands.
- request, reply: every request gets exactly one reply; `Failed` is the reply if it cannot be done.
- capability: a kind of request that older versions do not know.
- incarnation: a number that is higher at every start of a node.
- transport: the interface that the rest of the daemon uses. The simulator replaces it.

The way of data:

    Transport.request ─▶ network ─▶ link ─▶ TLS ─▶ the peer's link ─▶ its parts ─▶ reply
"""
