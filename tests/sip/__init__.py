"""The SIP user agent of the tests, written by hand so that it can do what real phones cannot.

Five words:

- message: text that came in or goes out; `message.py` alone reads and writes it.
- dialog: what the two ends of a call know of one another (`dialog.py`).
- way: the socket that carries messages to a node (`ways.py`, `links.py`, `wire.py`).
- repeat: a message without an answer is sent again (`timers.py`).
- load: many calls and registrations at a time (`rolling_load.py`).

```
rolling_load ─► registration ─┐                       phones that follow SRV (asyncio)
                              ├─► srv_sender ─► links, srv_lookup ─► site
bench/call_load, callees, register_storm ─► wire      thousands a second (one loop, no asyncio)
farm/raw_phone ─► phone ─► ways ─► websocket          one phone, step by step (blocking)

all of them ─► dialog, credentials, timers, framing ─► message
```

Nothing here knows the lab: the maker of a phone hands in its sockets. Messages that are wrong on
purpose (`farm/torture*.py`, `tests/fuzz`) are not written with this, but kept as data.
"""
