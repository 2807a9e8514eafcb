"""The routes: what the proxy does with a message, one concern a module.

Five words:

- `pass_…`: a check. False means that the request goes no further, and is already answered.
- aim: to set the next hop of a request, along a target's Path or flow (`flows.py`).
- claim: a call that counts among those that its subscriber may have at a time (`claims.py`).
- note: what an INVITE tells of its caller, sealed, for the call's later events (`notes.py`).
- detour: the flow that a request in a dialog takes when the dialog's own is gone (`detour.py`).

The way of data:

    request.py ─┬─▶ checks, shed, auth, policy, identity, session: may it go on?
                ├─▶ registrar ─▶ the daemon
                ├─▶ location ─▶ relay (one target) or fork (several) ─▶ record_route, pins, flows
                ├─▶ trunks ─▶ a gateway of a carrier
                ├─▶ dialog: along the Route that record_route wrote
                └─▶ handed_over: onto a flow of this node, for another node
    reply.py ───▶ call_events, media, session: the START of a call is safe before its 2xx goes on

A route that answers a request does so through `responses.py`, and then returns.
"""
