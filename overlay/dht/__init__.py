"""Which nodes are nearest to a key: the Kademlia package, on the farm's own links.

Five words:

- key: 160 bits. A node's id is a key, and so is the place of a record.
- distance: the XOR of two keys.
- bucket: up to k nodes whose distances from this node have the same highest bit.
- table: all buckets of one node.
- lookup: asks the nearest nodes that it knows for nearer ones, until no node is nearer.

The way of data:

    membership ─▶ table ─▶ placement
                    └─▶ lookup ─▶ protocol ─▶ links, in a farm that is larger than the table
"""
