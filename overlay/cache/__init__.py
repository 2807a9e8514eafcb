"""What a node keeps at hand, so that most lookups need no other node.

Five words:

- hot record: a record that this node read under a lease.
- lease: the time in which the replicas tell this node of every change to the record.
- target: where to send a request. It is made of a binding.
- projection: the targets of hot records, written to Redis, where the workers read them.
- generation: a number in shared memory. A worker's copy is valid until the number changes.

The way of data:

    read under a lease ─▶ hot ─▶ projection ─▶ Redis ─▶ worker
                                     └─▶ generations ─▶ worker drops its copy
"""
