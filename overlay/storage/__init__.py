"""A node's disk: every write that the node has acknowledged is on it.

- commit: rows that become durable together, with one fsync
- event log: two files in which call events are safe before the database has them
- settling: moving logged events to the database, many at a time
- journal: events of this node that fewer than W disks have
- damage: rows and files that were found broken; they are set aside, counted and fetched again from
  peers

    events -> event_log (synced, acknowledged) -> settling -> records.db
    subscribers, peers, settings -> committer -> records.db
    registrations -> bindings (memory) -> bindings.db (written behind)
"""
