"""Decides whether a node's own Kamailio counts as away.

In: when a question was sent, when an answer came, or that nothing listened; and whether the workers
take in messages. Out: `away`, the reason. No sockets, no clock of its own. Counterpart:
`kamailio/watcher.py` asks the questions.

    away ──answer──► here ──nothing listens, or MISSES_MAX questions unanswered──► away
                      └──its operator withdraws it──► away, though it answers, until it is gone

While Kamailio answers, questions are far apart. When an answer is missing, the next question
follows soon. If this process itself was late, then an unanswered question says nothing about
Kamailio. Workers that wait for a disk, or that have too much to do, answer late or never. But they
still take in messages, and that keeps Kamailio here for a while, though not for ever. A Kamailio
that comes back again and again has to stay for a while before it counts as here. Otherwise phones
would be sent to it in vain every few seconds.
"""

from typing import Final

ASK_EVERY_S: Final = 0.4
"""Wait after an answer."""
ASK_AGAIN_S: Final = 0.15
"""Wait after a question without an answer."""
LATE_S: Final = 0.1
"""If a question leaves later than this, its asker was held up and may have left an answer
unread."""
MISSES_MAX: Final = 4
"""Unanswered questions in a row that make Kamailio away. They take 0.6 s, longer than a worker
waits for a call event (0.4 s). With `ASK_EVERY_S`, a Kamailio that falls silent is away within a
second."""
BUSY_MISSES_MAX: Final = 33
"""The same while the workers take in messages. 5 s without a single answer are not just a
backlog."""
RETURNS_MAX: Final = 3
RETURNS_WITHIN_S: Final = 60.0
STEADY_S: Final = 10.0
"""A Kamailio that has come back `RETURNS_MAX` times within `RETURNS_WITHIN_S` has to answer for so
long before it counts as here once more."""


WITHDRAWN_S_MAX: Final = 60.0
"""A withdrawn Kamailio that still answers after so long was not stopped: it counts as here
again."""


class KamailioWatch:
    """The state of one Kamailio, which is away until it answers for the first time."""

    def __init__(self) -> None:
        self.away = "it has not answered yet"
        """The reason why Kamailio counts as away; empty while it is here."""
        self._asked_s: float | None = None
        self._unanswered = False
        self._misses = self._idle_misses = 0
        """Unanswered questions in a row; and those of them since the workers last took in a
        message."""
        self._steady_since_s: float | None = None
        self._returned_s: list[float] = []
        self._was_here = False
        self._withdrawn_until_s = 0.0

    def withdraw(self, now_s: float) -> None:
        """Count Kamailio as away although it answers, as it is about to be stopped."""
        self.away = "it is about to be stopped"
        self._withdrawn_until_s = now_s + WITHDRAWN_S_MAX

    @property
    def in_doubt(self) -> bool:
        """Whether Kamailio is here and the last question was not answered. It then matters whether
        the workers take in messages."""
        return not self.away and self._misses > 0

    def ask(self, now_s: float, *, working: bool) -> None:
        """Note that the next question leaves now. `working`: the workers are known to have taken in
        messages since the question before."""
        on_time = self._asked_s is not None and now_s - self._asked_s < ASK_AGAIN_S + LATE_S
        if self._unanswered and on_time:
            self._misses += 1
            self._idle_misses = 0 if working else self._idle_misses + 1
            self._steady_since_s = None
            silent = self._idle_misses >= MISSES_MAX or self._misses >= BUSY_MISSES_MAX
            if silent:
                self._withdrawn_until_s = 0.0
            if silent and not self.away:
                self.away = f"no answer to OPTIONS for {self._misses * ASK_AGAIN_S:.1f} s"
        self._asked_s, self._unanswered = now_s, True

    def answered(self, now_s: float) -> None:
        """Note that Kamailio answered one of the questions."""
        self._unanswered, self._misses, self._idle_misses = False, 0, 0
        if self._steady_since_s is None:
            self._steady_since_s = now_s
        if not self.away or now_s < self._withdrawn_until_s:
            return
        lately = [at_s for at_s in self._returned_s if now_s - at_s < RETURNS_WITHIN_S]
        if len(lately) >= RETURNS_MAX and now_s - self._steady_since_s < STEADY_S:
            self.away = f"it came back {len(lately)} times lately: it has to answer for a while"
            return
        self.away = ""
        if self._was_here:
            self._returned_s = [*lately, now_s][-RETURNS_MAX:]
        self._was_here = True

    def unreachable(self, reason: str) -> None:
        """Note that nothing listens at Kamailio's address, or that nothing can be sent there."""
        self._unanswered, self._steady_since_s = False, None
        self._withdrawn_until_s = 0.0
        self.away = f"no answer to OPTIONS: {reason}"
