"""Tests the whole farm in the lab: real Kamailio, Redis, PowerDNS, daemons and phones.

Five words:

- lab: the farm of three nodes that the tests share, and that `conftest.py` mends (`deploy/lab/`).
- phone: a real phone of some stack, which does what people do (`phones*.py`, `deploy.lab.Phone`).
- raw phone: a phone of `tests/sip/` that sends any text (`raw_phone.py`).
- scenario: a dialog that sipp plays, each request through a chosen node (`sipp.py`, `sipp/*.xml`).
- trial: one fault with the time that the farm needed to notice it (`failure_detection.py`).

The way of data:

    test ─▶ phones, raw_phone, sipp ─▶ SIP ─▶ nodes of the lab ─▶ phones, records, DNS
      ├───▶ asking ─▶ each node's daemon, DNS and log: `eventually` waits for the condition
      └───▶ lab: kill, freeze, cut, stop and back

A module with figures (`rolling.py`, `ledger.py`, `coherence.py`, …) is a program as well: the test
beside it plays the short form.
"""
