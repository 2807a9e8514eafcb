"""From the events of calls to the rows by which an operator bills.

Five words:

- event: one thing that a proxy saw of a call: START, INTERIM, STOP or ATTEMPT (`records/call.py`).
- billing record: the sum of the events of one dialog (`records/assemble.py`).
- sink: a place that takes billing records as rows: files, PostgreSQL, Kafka, or a webhook.
- block: some events of one node, signed and chained to the node's block before (`chain.py`).
- closing: giving a call an end when its BYE never came.

The way of data:

    event ─▶ admission (is it valid?) ─▶ replication/events ─▶ storage
                                        ├─▶ open_calls ─▶ closer
                                        ├─▶ ledger ─▶ signed blocks ─▶ audit
                                        └─▶ exporter ─▶ columns ─▶ sinks
"""
