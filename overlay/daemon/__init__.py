"""The process `sipfarm-overlay`: builds the parts of a node, starts them, and stops them.

- part: an object that works for as long as the node runs
- world: network, disk, cache, clock and random source, which a simulation replaces
- node: all parts of one daemon
- order: parts start one after the other; those that ask end before those that answer
"""
