"""Records on N nodes: writes that W replicas have, reads that R replicas answer.

- placement: which nodes hold a key, a function of who is alive
- coordinator: the node that a proxy asked; it sends a write to the replicas and counts
- replica: merges what it is sent, and hands out what it holds
- vote: a replica's yes or no; the quorum is pending, won or lost
- replicas: all that a part needs to find the nodes of a key and to ask them
- repair: brings every record to all its replicas, again and again

    registrations, events, subscribers -> quorum_write -> fanout -> replica (here, on peers)
                                               +-> won: acknowledged; events, if lost -> journal
    spreader and repair bring the record to the replicas that the quorum did not need
"""
