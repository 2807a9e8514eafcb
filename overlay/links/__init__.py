"""How nodes talk: mutual TLS between every two of them, and small datagrams beside it.

- hello: the first frame of each side: who it is, and what it understands
- request, reply: every request is answered once, with `Failed` at the worst
- capability: a kind of request that older versions do not know
- incarnation: a number that is higher at every start of a node
- transport: the interface that the rest of the daemon uses, and that the simulator replaces

    Transport.request -> network -> link -> TLS -> link of the peer -> its parts -> reply
"""
