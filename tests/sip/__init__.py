"""The SIP user agent of the tests, written by hand so that it can be told to do what phones cannot.

Message: text that came in or goes out; `message.py` reads and writes all of it. Dialog: what two
ends of a call know of one another. Way: what carries messages to a node. Repeat: what got no answer
is sent again. Load: many calls and registrations at a time.

```
rolling_load ─► registration ─┐                       phones that follow SRV (asyncio)
                              ├─► srv_sender ─► links, srv_lookup ─► site
bench/call_load, callees, register_storm ─► wire      thousands a second (one loop, no asyncio)
farm/raw_phone ─► phone ─► ways ─► websocket          one phone, step by step (blocking)

all of them ─► dialog, credentials, timers, framing ─► message
```

Nothing here knows the lab: whoever makes a phone hands in its sockets. What is wrong on purpose
(`farm/torture*.py`, `tests/fuzz`) is not written with this, but kept as data.
"""
