"""Sends requests as RFC 3263 asks of a phone: to a node that SRV names, and to the next if it
fails.

In: a function that writes the request for a given Via. Out: the final answer, or None if no node
gave one; how often the phone had to take another node. Counterparts: the nodes; `rolling_load.py`.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

from tests.sip.links import Link, NoNode
from tests.sip.message import Message, new_branch
from tests.sip.site import PhoneSite
from tests.sip.srv_lookup import SrvLookup, Target
from tests.sip.timers import T1_S, longer

Write = Callable[[str], str]
"""A request's text, given the value of its Via."""
_ATTEMPT_S: Final = 4.0
"""How long one node that is silent is tried; 32 s by RFC 3261, which no caller waits for."""
_PENDING_S: Final = 32.0
_TELLING: Final = ("Retry-After", "Warning")


class SrvSender:
    """The phones of a site that use one transport, with one socket a node; `close` after use.

    The sockets have a `port` of their own, or all the one that is given.
    """

    def __init__(self, site: PhoneSite, transport: str = "udp", *, port: int = 0) -> None:
        self.site, self.transport = site, transport
        self._port = port
        self._lookup = SrvLookup(site, transport)
        self._links: dict[Target, Link] = {}
        self._kept: dict[str, Target] = {}
        self.refusals: list[str] = []
        """What each node said to requests that none of them answered."""
        self._counts: Counter[str] = Counter()

    @property
    def counts(self) -> "Counter[str]":
        """`moved`: requests that another node had to be taken for; `repeated`: datagrams;
        `asked`: questions to DNS."""
        return self._counts + Counter(asked=self._lookup.asked)

    async def close(self) -> None:
        """Close the sockets."""
        for link in self._links.values():
            await link.close()

    async def ask(self, method: str, write: Write, keeps_to: str) -> Message | None:
        """The final answer of the first node that gives one which is no 503 (RFC 3263 4.3).

        What `keeps_to` the same word is sent to the same node, as long as that one answers.
        """
        said = []
        for number, target in enumerate(await self._order(keeps_to)):
            answer = await self._attempt(self._link(target), method, write)
            if isinstance(answer, Message) and answer.code != 503:
                self._counts["moved"] += number > 0
                self._kept[keeps_to] = target
                return answer
            said.append(f"{target.name}: {answer if isinstance(answer, str) else _told(answer)}")
        self.refusals.append(f"{method} {keeps_to} {self.transport}: {'; '.join(said)}")
        return None

    async def send(self, write: Write, keeps_to: str) -> None:
        """Send an ACK: nothing answers it."""
        link = self._link((await self._order(keeps_to))[0])
        try:
            await link.open(_ATTEMPT_S)
        except NoNode:
            return
        link.send(write(link.via(new_branch())))

    def _link(self, target: Target) -> Link:
        if target not in self._links:
            self._links[target] = Link(self.site, self.transport, target, self._port)
        return self._links[target]

    async def _attempt(self, link: Link, method: str, write: Write) -> Message | str:
        try:
            await link.open(_ATTEMPT_S)
        except NoNode as error:
            return str(error)
        branch = new_branch()
        text = write(link.via(branch))
        queue = link.waiting[branch] = asyncio.Queue[Message | NoNode]()
        repeat_s, until_s = T1_S, time.monotonic() + _ATTEMPT_S
        link.send(text)
        pending = False
        try:
            while (left_s := until_s - time.monotonic()) > 0:
                # A connection repeats by itself.
                once = self.transport != "udp" or (pending and method == "INVITE")
                try:
                    async with asyncio.timeout(left_s if once else min(left_s, repeat_s)):
                        told = await queue.get()
                except TimeoutError:
                    if time.monotonic() < until_s:
                        self._counts["repeated"] += 1
                        repeat_s = longer(repeat_s)
                        link.send(text)
                    continue
                if isinstance(told, NoNode):
                    return str(told)
                if told.code >= 200:
                    return told
                pending, until_s = True, time.monotonic() + _PENDING_S
            return "silence"
        finally:
            del link.waiting[branch]

    async def _order(self, keeps_to: str) -> list[Target]:
        """The nodes in the order that a request tries them."""
        targets = await self._lookup.targets()
        order = random.Random(keeps_to).sample(targets, len(targets))
        return sorted(order, key=lambda target: target != self._kept.get(keeps_to))


def _told(answer: Message) -> str:
    more = [f"{name}: {value}" for name, value in answer.fields if name in _TELLING]
    return " ".join([answer.first_line, *more])
