"""Records on N nodes: a write needs W replicas, a read needs the answers of R replicas.

The words:

- placement: which nodes hold a key. It depends only on which nodes are alive.
- coordinator: the node that a proxy asked. It sends a write to the replicas and counts the answers.
- replica: a node that holds a record. It merges what it is sent, and answers reads.
- vote: a replica's yes or no. By the votes, a quorum is pending, won or lost.
- replicas: the handle with all that a part needs to find the nodes of a key and to ask them.
- repair: brings every record to all of its replicas, again and again.

The way of data:

    registrations, events, subscribers ─▶ quorum_write ─▶ fanout ─▶ replica (here, on peers)
                                              └─▶ won: acknowledged; events, if lost ─▶ journal
    spreader and repair bring the record to the replicas that the quorum did not need
"""
