"""Takes in pushes: a replica says that a record has changed on which this node holds a lease.

In: `Changed` from peers. Out: `overlay.cache.hot` shows the change before it is acknowledged.
Counterpart: `replica.py` on the node that took the write. It waits for the answer.
"""

from overlay.cache.hot import HotRecords
from overlay.links.link import Answered
from overlay.links.peer_part import Handlers, PeerPart, calls_back
from overlay.links.peer_protocol import Ack, Failed
from overlay.links.record_messages import Changed
from overlay.records import registration, subscriber
from overlay.records.names import RecordKind
from overlay.replication.vetting import Vetting


class PushedChanges(PeerPart):
    """The pushes to one node."""

    def __init__(self, hot: HotRecords, vetting: Vetting) -> None:
        self._hot = hot
        self._vetting = vetting

    def requests(self) -> Handlers:
        return (calls_back(Changed, self._changed),)

    def _changed(self, peer: bytes, push: Changed, answer: Answered) -> None:
        if push.kind == RecordKind.SUBSCRIBER:
            self._subscriber_changed(push, answer)
            return
        shown = self._hot.changed(push.key, registration.decode(push.body))
        if shown is None:
            answer(Ack())
        else:
            shown.add_done_callback(lambda _: answer(Ack()))

    def _subscriber_changed(self, push: Changed, answer: Answered) -> None:
        if not self._vetting.genuine(push.key, push.body):
            answer(Failed(code="forged", reason="not signed by the operator"))
            return
        self._hot.subscriber_changed(push.key, subscriber.decode(push.body))
        answer(Ack())
