"""What a node keeps at hand, so that most lookups ask no other node.

- hot record: a record that this node read under a lease
- lease: the time in which replicas tell this node of every change
- target: where to send a request, made of a binding
- projection: the targets of hot records, as Redis shows them to the workers
- generation: a number in shared memory; a worker's copy is true while the number stands

    read under a lease -> hot -> projection -> Redis -> worker
                           |-> generations -> worker forgets
"""
