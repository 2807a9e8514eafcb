"""Keys, certificates and the farm's CA: who a node is, and how it proves it.

- node id: SHA-1 of the node's public key, proven by its certificate
- CA: the key that signs the certificates of all nodes, on the operator's machine
- operator's key: signs what the operator decides (subscribers, trunks, revocations)
- farm secret: what the proxies of all nodes sign routes with
- identity: all of this that one node has in `identity_dir`
"""

from overlay.identity.identity import Identity, load
from overlay.identity.peer import Peer, peer_of

__all__ = ["Identity", "Peer", "load", "peer_of"]
