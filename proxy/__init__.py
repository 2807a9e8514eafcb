"""The SIP side of a node: Kamailio, with a routing script in Python (KEMI).

Five words:

- worker: one process of Kamailio. It handles one message at a time (`worker.py`, `main.py`).
- target: a way to reach an address-of-record: a URI, and the flow or Path to it, if it needs one.
- flow: a connection, or a mapping in a NAT, to a phone. Only one node, its owner, can send on it.
- token: what the farm writes, signed, into its Record-Route or Route, for whichever node gets the
  next request of the dialog (`route_token.py`).
- pin: this node's note of where an INVITE went, for its CANCEL and ACK (`routes/pins.py`).

The way of data:

    message ─▶ Kamailio ─▶ main.py ─▶ routes/request.py, reply.py ─▶ Kamailio ─▶ next hop
                                            │
    bindings: this worker's memory, else Redis, else the node's daemon (overlay_client.py)
    policy, secrets, call events, REGISTER: the daemon
    state of a dialog: the token in its Route;  of a transaction: Kamailio's tables (htable)

The modules beside this file compute or hold one thing each, and know no message. The routes are the
only ones that call Kamailio (`ksr.py`); pyproject.toml has the layers. DESIGN.md tells the rest.
"""
