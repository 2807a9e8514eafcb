"""Keys, certificates and the farm's CA: which node a node is, and how it proves that.

- node id: SHA-1 of the node's public key, proven by its certificate
- CA: the key that signs the certificates of all nodes; it stays on the operator's machine
- operator's key: signs what the operator decides (subscribers, trunks, revocations)
- farm secret: the key with which the proxies of all nodes sign routes
- identity: all of this that one node has in `identity_dir`
"""

from overlay.identity.identity import Identity, load
from overlay.identity.peer import Peer, peer_of

__all__ = ["Identity", "Peer", "load", "peer_of"]
