"""Plays a whole call between two raw phones, with a chosen node for each request.

In: two `RawPhone`s, the nodes. Out: the dialog as each side sees it, with the route that the farm
gave it (RFC 3261 12.2.1.1). Counterpart: `test_transports.py`.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from proxy import route_token
from tests.farm.raw_phone import RawPhone
from tests.sip.dialog import Dialog
from tests.sip.message import Message

_ANSWER_WITHIN_S = 15.0


@dataclass
class Side:
    """One side of a call."""

    phone: RawPhone
    dialog: Dialog
    seen: list[Message] = field(default_factory=list)

    @property
    def call_id(self) -> str:
        """The call's."""
        return self.dialog.call_id

    @property
    def first_hop(self) -> dict[str, str]:
        """The parameters of the first Route: how the phone is to reach the farm."""
        return route_token.parameters_of(self.dialog.routes[0].strip("<>"))

    def text(self, method: str, cseq: int | None = None) -> str:
        """A request in the dialog, by default the next one."""
        return self.phone.text_within(self.dialog, method, cseq=cseq)

    def ask(self, node: str, method: str, other: "Side") -> Message:
        """The final answer to a request in the dialog, which the other side grants."""
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(
                *(self.phone.ask_within, self.dialog, node, method), timeout_s=_ANSWER_WITHIN_S
            )
            request = other.phone.await_request(method)
            other.seen.append(request)
            contact = [f"Contact: <{other.phone.contact}>"] if method == "INVITE" else []
            other.phone.reply(request, 200, "OK", contact)
            final = answer.result()
        if method == "INVITE" and final.code == 200:
            self.phone.send(node, self.text("ACK"))
            other.phone.await_request("ACK")
        return final


def call(caller: RawPhone, callee: RawPhone, node: str, *extra: str) -> tuple[Side, Side]:
    """A call by way of `node` that is answered and acknowledged, as caller and callee see it."""
    call_id = f"{caller.call_id}-{next(caller.cseqs)}"
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(
            *(caller.ask, node, "INVITE", callee.aor, extra),
            call_id=call_id,
            timeout_s=_ANSWER_WITHIN_S,
        )
        invite = callee.await_request("INVITE")
        callee.reply(invite, 200, "OK", [f"Contact: <{callee.contact}>"])
        final = answer.result()
    assert final.code == 200, final
    calling = Side(caller, Dialog.of_caller(final), [final])
    called = Side(callee, Dialog.of_callee(invite), [invite])
    caller.send(node, calling.text("ACK"))
    callee.await_request("ACK")
    return calling, called
