"""Keeps what one end of a call knows of it, and writes its requests (RFC 3261 12).

In: the INVITE and its 200. Out: the text of requests in the dialog. Counterpart: the other end.
"""

from dataclasses import dataclass
from typing import Self

from tests.sip import message
from tests.sip.message import TAG, Message


@dataclass(kw_only=True, slots=True)
class Dialog:
    """One end's view."""

    own: str
    """The value of From in this end's requests,"""
    other: str
    """and that of To; both with their tags."""
    target: str
    """The other end's Contact."""
    routes: list[str]
    """In the order in which a request goes by them."""
    call_id: str
    cseq: int
    """Of this end's last request."""

    @classmethod
    def of_caller(cls, answer: Message) -> Self:
        """The end that sent an INVITE and got this 200."""
        return cls(
            own=answer.get("From"),
            other=answer.get("To"),
            target=message.uri_of(answer.get("Contact")),
            routes=answer.listed("Record-Route")[::-1],
            call_id=answer.get("Call-ID"),
            cseq=answer.cseq,
        )

    @classmethod
    def of_callee(cls, invite: Message, *, cseq: int = 100) -> Self:
        """The end that answers an INVITE with `message.response`; it counts on from `cseq`."""
        return cls(
            own=f"{invite.get('To')};tag={TAG}",
            other=invite.get("From"),
            target=message.uri_of(invite.get("Contact")),
            routes=invite.listed("Record-Route"),
            call_id=invite.get("Call-ID"),
            cseq=cseq,
        )

    def request(self, method: str, via: str, *fields: str, cseq: int | None = None) -> str:
        """A request in the dialog. Without `cseq` it is the next one; an ACK has its INVITE's."""
        if cseq is None:
            if method != "ACK":
                self.cseq += 1
            cseq = self.cseq
        return message.request(
            method,
            self.target,
            via=via,
            sender=self.own,
            receiver=self.other,
            call_id=self.call_id,
            cseq=cseq,
            fields=[f"Route: {', '.join(self.routes)}", *fields] if self.routes else fields,
        )
