"""Tries what happens to a real phone when the node that it talks to is killed or drained.

In: a lab, a phone of `phones.py`. Out: for each step, the seconds that it took, or that it did not
happen in time. Counterparts: `phone_table.py`, which prints them; `test_phones.py`, which asserts
on some.

The other side of all calls is a friend's phone (pjsip, UDP) that uses another node throughout. So
the phone's node is the only thing that is lost.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final

from deploy.lab import Lab, processes
from overlay.control.operator_messages import Drain
from overlay.records.draining import DrainWish
from tests.farm.phones import Heard, PjsipPhone, RealPhone
from tests.farm.sip_seen import SipSeen

LIMIT_S: Final = 90.0
"""How long a phone may take for a step."""
_SETUP_S: Final = 15.0
_AGAIN_S: Final = 1.0
_CALL_MAX_S: Final = 40.0
"""After that people dial again: a little more than a SIP transaction lasts."""
_GIVEN_UP_S: Final = 35.0
"""A call whose other side is silent has ended after that: 64 * T1, and a little."""
_POLL_S: Final = 0.05

Kind = Callable[[Lab, str, str, str], RealPhone]


@dataclass(frozen=True, kw_only=True)
class Step:
    """Something that should come to pass after the fault, and whether it did."""

    name: str
    took_s: float | None
    """From the fault, or, of what a person begins, from there; None: not in time."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A registered phone, its friend, and a look at whom the phone talks to."""

    lab: Lab
    phone: RealPhone
    friend: PjsipPhone
    seen: SipSeen
    limit_s: float

    def lose(self, fault: "Fault", victim: str = "") -> None:
        """Take the node away that the phone spoke to last; the friend goes on by another."""
        victim = victim or self.seen.node
        self.friend.move(next(n.name for n in self.lab.nodes if n.name != victim))
        fault(self.lab, victim)

    def within(self, name: str, listener: RealPhone, heard: Heard, timeout_s: float = 0) -> Step:
        """Wait for what a phone shall hear."""
        began_s = time.monotonic()
        done = listener.hears(heard, timeout_s=timeout_s or self.limit_s)
        return Step(name=name, took_s=time.monotonic() - began_s if done else None)

    def until_rings(self, name: str, caller: RealPhone, callee: RealPhone) -> Step:
        """Dial, again after each failure, until the other phone rings; then give the call up."""
        caller.forget()
        callee.forget()
        began_s = time.monotonic()
        until_s = began_s + self.limit_s
        rang = False
        while not rang and time.monotonic() < until_s:
            caller.dial(callee.aor)
            dialled_s = time.monotonic()
            while not rang and time.monotonic() < min(until_s, dialled_s + _CALL_MAX_S):
                rang = callee.hears(Heard.INCOMING, timeout_s=_POLL_S) is not None
                if not rang and caller.hears(Heard.ENDED, timeout_s=_POLL_S):
                    rang = callee.hears(Heard.INCOMING, timeout_s=_AGAIN_S) is not None
                    break
            else:
                caller.hang_up()
        took_s = time.monotonic() - began_s if rang else None
        caller.hang_up()
        callee.hears(Heard.ENDED, timeout_s=_AGAIN_S)
        return Step(name=name, took_s=took_s)

    def talk(self) -> str:
        """The phone calls its friend, who answers; returns the node that it called by."""
        self.ring(self.phone, self.friend)
        # Asked while it rings: the ACK may go to another node already.
        node = self.seen.node
        self.friend.answer()
        for each in (self.phone, self.friend):
            assert each.hears(Heard.TALKING, timeout_s=_SETUP_S), "they talk"
        return node

    def ring(self, caller: RealPhone, callee: RealPhone) -> None:
        """A call that rings."""
        caller.dial(callee.aor)
        assert callee.hears(Heard.INCOMING, timeout_s=_SETUP_S), "it rings"


Fault = Callable[[Lab, str], object]


def kill(lab: Lab, node: str) -> None:
    """All of the node's processes die."""
    lab.kill(node)


def drain(lab: Lab, node: str) -> None:
    """The node is taken out of service."""
    lab.ask(node, Drain(wish=DrainWish.BEGIN))


def spare(_lab: Lab, _node: str) -> None:
    """Nothing happens: what the phone can do at all, to hold the others against."""


def idle_called(scene: Scene, fault: Fault) -> list[Step]:
    """Nobody talks; the phone is called until it rings."""
    scene.lose(fault)
    return [scene.until_rings("rings again", scene.friend, scene.phone)]


def idle_calls(scene: Scene, fault: Fault) -> list[Step]:
    """Nobody talks; the phone calls until it gets through."""
    scene.lose(fault)
    return [scene.until_rings("calls again", scene.phone, scene.friend)]


def ringing(scene: Scene, fault: Fault) -> list[Step]:
    """The phone rings, is answered, hangs up, and calls."""
    victim = scene.seen.node
    scene.friend.move(next(n.name for n in scene.lab.nodes if n.name != victim))
    scene.ring(scene.friend, scene.phone)
    scene.lose(fault, victim)
    scene.phone.answer()
    answered = scene.within("answers", scene.friend, Heard.TALKING)
    scene.phone.hang_up()
    ended = scene.within("its BYE arrives", scene.friend, Heard.ENDED, _GIVEN_UP_S)
    return [answered, ended, scene.until_rings("next call", scene.phone, scene.friend)]


def talking(scene: Scene, fault: Fault) -> list[Step]:
    """The phone called by that node; it holds the call, hangs up, and calls."""
    scene.lose(fault, scene.talk())
    scene.phone.hold()
    held = scene.within("hold", scene.friend, Heard.HELD)
    scene.phone.hang_up()
    ended = scene.within("BYE", scene.friend, Heard.ENDED)
    return [held, ended, scene.until_rings("next call", scene.phone, scene.friend)]


def talking_hung_up_on(scene: Scene, fault: Fault) -> list[Step]:
    """The phone called by that node; the friend hangs up, and calls back."""
    scene.lose(fault, scene.talk())
    scene.friend.hang_up()
    ended = scene.within("friend's BYE", scene.phone, Heard.ENDED, _GIVEN_UP_S)
    if ended.took_s is None:
        scene.phone.hang_up()
    return [ended, scene.until_rings("rings again", scene.friend, scene.phone)]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A column group of the table."""

    name: str
    fault: Fault
    play: Callable[[Scene, Fault], list[Step]]


TRIALS: Final = {
    "spared": Trial(name="no fault", fault=spare, play=talking),
    "idle-called": Trial(name="killed while idle", fault=kill, play=idle_called),
    "idle-calls": Trial(name="killed while idle", fault=kill, play=idle_calls),
    "ringing": Trial(name="killed while ringing", fault=kill, play=ringing),
    "talking": Trial(name="killed while talking", fault=kill, play=talking),
    "hung-up-on": Trial(name="killed while talking", fault=kill, play=talking_hung_up_on),
    "drained": Trial(name="drained while talking", fault=drain, play=talking),
    "drained-called": Trial(name="drained while talking", fault=drain, play=talking_hung_up_on),
}


@contextmanager
def scene(lab: Lab, kind: Kind, transport: str, limit_s: float = LIMIT_S) -> Iterator[Scene]:
    """Alice's phone of that kind on p1, registered, and Bob, her friend, on p2."""
    with ExitStack() as stack:
        friend = stack.enter_context(PjsipPhone(lab, "p2", "bob", "udp", node=lab.nodes[0].name))
        friend.register()
        seen = stack.enter_context(SipSeen(lab, "p1"))
        phone = stack.enter_context(kind(lab, "p1", "alice", transport))
        phone.register()
        yield Scene(lab=lab, phone=phone, friend=friend, seen=seen, limit_s=limit_s)


def mend(lab: Lab) -> None:
    """All nodes serve again."""
    for name in running(lab):
        lab.ask(name, Drain(wish=DrainWish.END))
    lab.restore()


def running(lab: Lab) -> list[str]:
    """The nodes whose daemon runs."""
    return [node.name for node in lab.nodes if processes.of_service(node, "overlay")]
