"""Iterative lookup of the nodes nearest to a key (Kademlia, section 2.3), with a deadline.

In: a key, and the contacts to begin with. Out: the k nearest live contacts that were found. The
crawl of the Kademlia package waits for the slowest answer of each round. This lookup keeps alpha
questions under way instead, and asks the next nearest contact as soon as one has answered.
"""

import asyncio
from collections.abc import Awaitable, Callable

from kademlia.crawling import NodeSpiderCrawl
from kademlia.node import Node

FindNodeCall = Callable[[Node, Node], Awaitable[tuple[bool, list[Node] | None]]]


class Lookup(NodeSpiderCrawl):  # type: ignore[misc]
    """One lookup. When it is over, `depth` tells how many steps away each contact was found."""

    depth: dict[bytes, int]

    async def find_within(self, timeout_s: float) -> list[Node]:
        """The nearest contacts that were found when no nearer one is left to ask, or when time is
        up."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._find(self.protocol.call_find_node)
        except TimeoutError:
            pass
        return list(self.nearest)

    async def _find(self, rpcmethod: FindNodeCall) -> None:
        self.depth = {node.id: 1 for node in self.nearest}
        under_way: dict[asyncio.Future[tuple[bool, list[Node] | None]], Node] = {}
        try:
            while True:
                for peer in self.nearest.get_uncontacted()[: self.alpha - len(under_way)]:
                    self.nearest.mark_contacted(peer)
                    under_way[asyncio.ensure_future(rpcmethod(peer, self.node))] = peer
                if not under_way:
                    return
                done, _ = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
                for call in [call for call in under_way if call in done]:
                    self._answered(under_way.pop(call), call.result())
        finally:
            for call in under_way:
                call.cancel()

    def _answered(self, peer: Node, result: tuple[bool, list[Node] | None]) -> None:
        happened, found = result
        if not happened:
            self.nearest.remove([peer.id])
            return
        for node in found or ():
            if node.id not in self.depth and node.id != self.protocol.source_node.id:
                self.depth[node.id] = self.depth[peer.id] + 1
                self.nearest.push(node)
