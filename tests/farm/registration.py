"""One phone's registration, kept up or taken back, by whichever node answers.

In: a sender, a user with the tests' password. Out: the final answers to its REGISTERs.
Counterparts: the farm's registrar; `srv_sender.py`.
"""

from typing import Final

from overlay.records.subscriber import with_password
from proxy import digest
from tests.farm.asking import PASSWORD
from tests.farm.raw_phone import Message
from tests.farm.srv_sender import SrvSender

_CHALLENGES_MAX: Final = 2


class Registration:
    """A Contact of a user; each REGISTER has a higher CSeq than the one before."""

    def __init__(self, sender: SrvSender, user: str, contact: str, call_id: str) -> None:
        self._sender, self.user = sender, user
        self._contact, self._call_id = contact, call_id
        self._cseq = 0

    @property
    def transport(self) -> str:
        """What its REGISTERs go over."""
        return self._sender.transport

    async def ask(self, expires_s: int) -> Message | None:
        """The final answer to a REGISTER with this time, 0 to be forgotten; None from no node."""
        answer = await self._asked(expires_s, "")
        # A second challenge is for who has come to another node with the first one's nonce.
        for _ in range(_CHALLENGES_MAX):
            if answer is None or answer.code != 401:
                break
            answer = await self._asked(expires_s, self._proof(answer))
        return answer

    async def _asked(self, expires_s: int, proof: str) -> Message | None:
        self._cseq += 1
        farm = self._sender.site.farm
        aor = f"sip:{self.user}@{farm}"
        lines = [f"REGISTER sip:{farm} SIP/2.0", "Max-Forwards: 70"]
        lines += [f"From: <{aor}>;tag=phone", f"To: <{aor}>", f"Call-ID: {self._call_id}"]
        lines += [f"CSeq: {self._cseq} REGISTER", f"Contact: <{self._contact}>;expires={expires_s}"]
        lines += [f"Authorization: {proof}"] if proof else []
        text = "\r\n".join([*lines, "Content-Length: 0", "", ""])
        return await self._sender.ask("REGISTER", text, self.user)

    def _proof(self, challenge: Message) -> str:
        farm = self._sender.site.farm
        nonce = challenge.get("WWW-Authenticate").partition('nonce="')[2].partition('"')[0]
        text = (
            f'Digest username="{self.user}", realm="{farm}", nonce="{nonce}", uri="sip:{farm}", '
            f'algorithm=MD5, qop=auth, nc=00000001, cnonce="x"'
        )
        found = digest.parse(f'{text}, response="?"')
        assert found is not None
        ha1 = with_password(f"{self.user}@{farm}", PASSWORD, version=1).ha1
        return f'{text}, response="{digest.response(found, ha1, "REGISTER")}"'
