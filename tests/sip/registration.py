"""Keeps one phone's registration up, or removes it, through whichever node answers.

In: a sender, a user with the tests' password. Out: the final answers to its REGISTERs.
Counterparts: the farm's registrar; `srv_sender.py`.
"""

from typing import Final

from tests.sip.credentials import Credentials
from tests.sip.message import Message, request
from tests.sip.srv_sender import SrvSender

_CHALLENGES_MAX: Final = 5
"""Each node makes a challenge of its own, so a phone that has to move while it answers one meets
another: at most one for each node of a farm in the tests, and the first."""


class Registration:
    """A Contact of a user; each REGISTER has a higher CSeq than the one before."""

    def __init__(self, sender: SrvSender, user: str, contact: str, call_id: str) -> None:
        self._sender, self.user = sender, user
        self._contact, self._call_id = contact, call_id
        self._farm = sender.site.farm
        self._credentials = Credentials(user, self._farm, algorithm="MD5")
        self._cseq = 0

    @property
    def transport(self) -> str:
        """What its REGISTERs go over."""
        return self._sender.transport

    async def ask(self, expires_s: int) -> Message | None:
        """The final answer to a REGISTER with this time, 0 to be forgotten; None from no node."""
        uri = f"sip:{self._farm}"
        answer = await self._asked(uri, expires_s)
        for _ in range(_CHALLENGES_MAX):
            if answer is None or answer.code != 401:
                break
            proof = self._credentials.proof(answer, "REGISTER", uri)
            answer = await self._asked(uri, expires_s, proof)
        return answer

    async def _asked(self, uri: str, expires_s: int, *proof: str) -> Message | None:
        self._cseq += 1
        cseq = self._cseq
        aor = f"<sip:{self.user}@{self._farm}>"

        def write(via: str) -> str:
            return request(
                "REGISTER",
                uri,
                via=via,
                sender=f"{aor};tag=phone",
                receiver=aor,
                call_id=self._call_id,
                cseq=cseq,
                fields=[f"Contact: <{self._contact}>;expires={expires_s}", *proof],
            )

        return await self._sender.ask("REGISTER", write, self.user)
