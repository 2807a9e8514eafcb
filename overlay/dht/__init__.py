"""Which nodes are nearest to a key: the Kademlia package, on the farm's own links.

- key: 160 bits; a node's id is one, and so is a record's place
- distance: XOR of two keys
- bucket: up to k nodes whose distance begins alike
- table: all buckets of one node
- lookup: asks the nearest known nodes for nearer ones, until none is nearer

    membership -> table -> placement
                    +-> lookup -> protocol -> links, in a farm that is larger than the table
"""
