"""A whole call between two raw phones, each request by a node of choice.

In: two `RawPhone`s, the nodes. Out: the dialog as each side sees it; what each was told to send
along (RFC 3261 12.2.1.1). Counterpart: `test_transports.py`.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from proxy import route_token
from tests.farm.raw_phone import Message, RawPhone

_ANSWER_WITHIN_S = 15.0


@dataclass
class Side:
    """One side of a dialog."""

    phone: RawPhone
    own_uri: str
    own_tag: str
    other_uri: str
    other_tag: str
    target: str
    routes: list[str]
    call_id: str
    cseq: int = 100
    seen: list[Message] = field(default_factory=list)

    @property
    def first_hop(self) -> dict[str, str]:
        """The parameters of the first Route: how the phone is to reach the farm."""
        return route_token.parameters_of(self.routes[0].strip("<>"))

    def text(self, method: str, cseq: int) -> str:
        """A request in the dialog."""
        text, _ = self.phone.request_text(
            *(method, self.target, [f"Route: {', '.join(self.routes)}"]),
            from_uri=self.own_uri,
            from_tag=self.own_tag,
            to_uri=self.other_uri,
            to_tag=self.other_tag,
            call_id=self.call_id,
            cseq=cseq,
        )
        return text

    def ask(self, node: str, method: str, other: "Side") -> Message:
        """The final answer to a request in the dialog, which the other side grants."""
        self.cseq += 1
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(
                self.phone.ask,
                *(node, method, self.target, [f"Route: {', '.join(self.routes)}"]),
                from_uri=self.own_uri,
                from_tag=self.own_tag,
                to_uri=self.other_uri,
                to_tag=self.other_tag,
                call_id=self.call_id,
                cseq=self.cseq,
                timeout_s=_ANSWER_WITHIN_S,
            )
            request = other.phone.await_request(method)
            other.seen.append(request)
            contact = [f"Contact: <{other.phone.contact}>"] if method == "INVITE" else []
            other.phone.reply(request, 200, "OK", contact)
            final = answer.result()
        if method == "INVITE" and final.code == 200:
            self.phone.send(node, self.text("ACK", self.cseq))
            other.phone.await_request("ACK")
        return final


def call(caller: RawPhone, callee: RawPhone, node: str, *extra: str) -> tuple[Side, Side]:
    """A call by way of `node` that is answered and acknowledged, as caller and callee see it."""
    call_id = f"{caller.call_id}-{next(caller.cseqs)}"
    uri = callee.aor
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(
            *(caller.ask, node, "INVITE", uri, extra), call_id=call_id, timeout_s=_ANSWER_WITHIN_S
        )
        invite = callee.await_request("INVITE")
        callee.reply(invite, 200, "OK", [f"Contact: <{callee.contact}>"])
        final = answer.result()
    assert final.code == 200, final
    calling = Side(
        phone=caller,
        own_uri=caller.aor,
        own_tag="caller",
        other_uri=uri,
        other_tag="callee",
        target=_uri(final.get("Contact")),
        routes=_hops(final)[::-1],
        call_id=call_id,
        seen=[final],
    )
    called = Side(
        phone=callee,
        own_uri=uri,
        own_tag="callee",
        other_uri=caller.aor,
        other_tag="caller",
        target=_uri(invite.get("Contact")),
        routes=_hops(invite),
        call_id=call_id,
        seen=[invite],
    )
    caller.send(node, calling.text("ACK", int(final.get("CSeq").split()[0])))
    callee.await_request("ACK")
    return calling, called


def _uri(contact: str) -> str:
    return contact.partition("<")[2].partition(">")[0]


def _hops(message: Message) -> list[str]:
    """The Record-Route, one URI an entry."""
    return [hop.strip() for value in message.all("Record-Route") for hop in value.split(",")]
