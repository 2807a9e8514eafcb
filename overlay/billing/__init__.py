"""From the events of calls to rows that an operator bills by.

- event: one thing that a proxy saw of a call (START, INTERIM, STOP, ATTEMPT), see `records/call.py`
- billing record: what the events of one dialog come to, see `records/assemble.py`
- sink: a place that takes billing records as rows (files, PostgreSQL, Kafka, a webhook)
- block: some events of one node, signed and chained to its block before (`chain.py`)
- closing: the end of a call whose BYE never came

    event -> door (is it one?) -> replication/events -> storage
                                        |-> open_calls -> closer
                                        |-> ledger -> signed blocks -> audit
                                        +-> exporter -> columns -> sinks
"""
