"""Keys, certificates and the farm's CA: who a node is, and how it proves it."""

from overlay.identity.identity import Identity, load
from overlay.identity.peer import Peer, peer_of

__all__ = ["Identity", "Peer", "load", "peer_of"]
