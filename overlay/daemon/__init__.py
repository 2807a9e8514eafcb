"""The process `sipfarm-overlay`: builds the parts of a node, starts them, and stops them.

Four words:

- part: an object that works for as long as the node runs.
- world: network, disk, cache, clock and random source. A simulation replaces them.
- node: all parts of one daemon.
- order: parts start one after the other. Parts that ask others end before the parts that answer.
"""
