"""Is a real SIP phone (pjsua2) without a sound card, which runs on a phone host.

In: commands on stdin, one JSON object a line. Out: events on stdout, one JSON object a line.
Counterpart: `phone.py`, which starts this program and gives it its commands. Run it as
`python -m deploy.lab.softphone '{"user": …}'`; it ends when its stdin ends.
"""

import json
import os
import select
import sys
from typing import Any

import msgspec
import pjsua2 as pj

from deploy.lab.phone import PhoneSettings

_EVENTS_MS = 20
_STREAM = 0

# pjsip prints to stdout before it has read the setting that names its log.
_told_on = os.dup(1)
os.dup2(2, 1)


def emit(event: str, **details: object) -> None:
    """Send an event to the counterpart."""
    os.write(_told_on, json.dumps({"event": event, **details}).encode() + b"\n")


class PhoneCall(pj.Call):  # type: ignore[misc]
    """A call, incoming or outgoing."""

    def onCallState(self, _prm: object) -> None:
        """pjsua2: the dialog's state changed."""
        info = self.getInfo()
        emit(
            "call",
            state=info.stateText,
            code=int(info.lastStatusCode),
            reason=info.lastReason,
            call_id=info.callIdString,
            remote=info.remoteUri,
            duration_ms=info.connectDuration.sec * 1000 + info.connectDuration.msec,
        )

    def onCallMediaState(self, _prm: object) -> None:
        """pjsua2: an offer was answered. Send silence and count what comes, or be on hold."""
        # The info must stay in a variable: its list of media is freed together with it.
        info = self.getInfo()
        statuses = {m.status for m in info.media if m.type == pj.PJMEDIA_TYPE_AUDIO}
        if pj.PJSUA_CALL_MEDIA_REMOTE_HOLD in statuses:
            emit("held")
        if pj.PJSUA_CALL_MEDIA_ACTIVE in statuses:
            devices = pj.Endpoint.instance().audDevManager()
            devices.getCaptureDevMedia().startTransmit(self.getAudioMedia(-1))
            self.getAudioMedia(-1).startTransmit(devices.getPlaybackDevMedia())


class PhoneAccount(pj.Account):  # type: ignore[misc]
    """The subscriber's account and its calls."""

    def __init__(self, settings: PhoneSettings) -> None:
        super().__init__()
        self._settings = settings
        self.calls: list[PhoneCall] = []

    def onRegState(self, prm: Any) -> None:
        """pjsua2: a REGISTER was answered or given up."""
        emit("registration", code=int(prm.code), reason=prm.reason, expires_s=prm.expiration)

    def onIncomingCall(self, prm: Any) -> None:
        """pjsua2: an INVITE arrived."""
        call = PhoneCall(self, prm.callId)
        self.calls.append(call)
        emit("incoming", call_id=call.getInfo().callIdString, remote=call.getInfo().remoteUri)
        answer(call, pj.PJSIP_SC_RINGING)
        if self._settings.answers:
            answer(call, pj.PJSIP_SC_OK)

    def forget_ended_calls(self) -> None:
        """Drop the references to calls that have ended; must not run inside one of their
        callbacks."""
        self.calls = [call for call in self.calls if call.isActive()]


def answer(call: PhoneCall, code: int) -> None:
    """Answer a call with a SIP status."""
    parameters = pj.CallOpParam()
    parameters.statusCode = code
    call.answer(parameters)


class SoftPhone:
    """The phone: an endpoint, one account, and the commands that it takes."""

    def __init__(self, settings: PhoneSettings) -> None:
        self._settings = settings
        self._endpoint = pj.Endpoint()
        self._endpoint.libCreate()
        self._endpoint.libInit(_endpoint_config(settings))
        self._endpoint.audDevManager().setNullDev()
        transport = pj.TransportConfig()
        transport.boundAddress = settings.address
        transport.port = settings.port
        for kind in (pj.PJSIP_TRANSPORT_UDP, pj.PJSIP_TRANSPORT_TCP):
            self._endpoint.transportCreate(kind, transport)
        if settings.transport == "tls":
            transport.port = 0
            transport.tlsConfig.CaListFile = settings.authority
            transport.tlsConfig.verifyServer = True
            self._endpoint.transportCreate(pj.PJSIP_TRANSPORT_TLS, transport)
        self._endpoint.libStart()
        self._account = PhoneAccount(settings)
        self._account.create(_account_config(settings))

    def run(self) -> None:
        """Take commands until stdin ends."""
        emit("ready")
        buffer = b""
        while True:
            self._endpoint.libHandleEvents(_EVENTS_MS)
            self._account.forget_ended_calls()
            if not select.select([0], [], [], 0)[0]:
                continue
            data = os.read(0, 65536)
            if not data:
                return
            *lines, buffer = (buffer + data).split(b"\n")
            for line in lines:
                self._obey(json.loads(line))

    def close(self) -> None:
        """Hang up, unregister and end."""
        self._endpoint.hangupAllCalls()
        self._account.calls = []
        self._account.shutdown()
        del self._account
        self._endpoint.libDestroy()

    def _obey(self, command: dict[str, Any]) -> None:
        match command:
            case {"do": "register"}:
                self._account.setRegistration(True)
            case {"do": "unregister"}:
                self._account.setRegistration(False)
            case {"do": "call", "to": str(uri)}:
                call = PhoneCall(self._account)
                self._account.calls.append(call)
                call.makeCall(uri, pj.CallOpParam(True))
            case {"do": "answer", "code": int(code)}:
                for call in self._account.calls:
                    answer(call, code)
            case {"do": "hang up"}:
                for call in self._account.calls:
                    call.hangup(pj.CallOpParam())
            case {"do": "hold"}:
                for call in self._account.calls:
                    call.setHold(pj.CallOpParam())
            case {"do": "count media"}:
                for call in self._account.calls:
                    statistics = call.getStreamStat(_STREAM).rtcp
                    emit("media", sent=statistics.txStat.pkt, received=statistics.rxStat.pkt)
            case _:
                raise ValueError(f"no such command: {command}")


def _endpoint_config(settings: PhoneSettings) -> Any:
    config = pj.EpConfig()
    config.uaConfig.threadCnt = 0
    config.uaConfig.mainThreadOnly = True
    config.uaConfig.userAgent = "softphone"
    for server in settings.nameservers:
        config.uaConfig.nameserver.append(server)
    config.logConfig.level = 4
    config.logConfig.consoleLevel = 0
    config.logConfig.filename = os.environ.get("SOFTPHONE_LOG", "")
    # The phone sends silence too, so that tests can count packets.
    config.medConfig.noVad = True
    return config


def _account_config(settings: PhoneSettings) -> Any:
    config = pj.AccountConfig()
    config.idUri = f"sip:{settings.user}@{settings.domain}"
    over = f";transport={settings.transport}" if settings.transport != "udp" else ""
    config.regConfig.registrarUri = f"sip:{settings.domain}{over}"
    config.regConfig.registerOnAdd = False
    config.regConfig.timeoutSec = settings.expires_s
    config.regConfig.retryIntervalSec = settings.retry_s
    if settings.outbound_proxy:
        config.sipConfig.proxies.append(settings.outbound_proxy)
    elif settings.transport == "tls":
        config.sipConfig.proxies.append(f"sip:{settings.domain};transport=tls;lr")
    if settings.password:
        credentials = pj.AuthCredInfo("digest", "*", settings.user, 0, settings.password)
        config.sipConfig.authCreds.append(credentials)
    return config


def main() -> None:
    """Be a phone until stdin ends."""
    phone = SoftPhone(msgspec.json.decode(sys.argv[1], type=PhoneSettings))
    try:
        phone.run()
    finally:
        phone.close()


if __name__ == "__main__":
    main()
