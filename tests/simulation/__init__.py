"""Plays farms of real daemons on virtual time, with faults, and checks every promise.

Five words:

- seed: the one source of all chance; the same seed plays the same story (`simulation.py`).
- host: a simulated machine with an address, a clock, a disk, a Redis and a real daemon (`host.py`).
- wire: a connection between two hosts, which delays, loses or breaks (`wires.py`).
- fault: a crash, freeze or cut, a clock that jumps, a disk that fails (`faults.py`).
- ledger: every acknowledgement that a client saw, with what it promises (`ledger.py`).

The way of data:

    seed ─▶ faults ─▶ hosts: clock, disk, redis, wires ◀─▶ overlay.daemon.node.Node, unchanged
     │                  ▲
     └▶ clients ────────┘ requests
           └▶ ledger ─▶ checks (while it runs, and after mending) ─▶ Result, trace

`run` is the command; `main.py` plays many seeds. `big_farm.py` and `partial_tables.py` play large
farms instead. DESIGN.md says what is real, and what is checked.
"""
