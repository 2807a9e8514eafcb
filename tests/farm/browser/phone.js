// A phone in a web page: SIP.js over an encrypted WebSocket, the browser's own WebRTC for media.
//
// In: what a person does, as methods of `window.phone`. Out: what the phone lets its owner know, on
// the page and by `window.tell`. Counterpart: `phones_browser.py`, which plays the person.

import {
  Inviter,
  Registerer,
  RegistererState,
  SessionState,
  UserAgent,
  Web,
} from "./node_modules/sip.js/lib/index.js";

let agent, registerer, session;

function tell(event, details = {}) {
  const line = document.createElement("li");
  line.textContent = `${event} ${Object.values(details).join(" ")}`;
  document.getElementById("told").append(line);
  document.getElementById("state").textContent = event;
  window.tell(JSON.stringify({ event, ...details }));
}

function follow(next) {
  session = next;
  session.stateChange.addListener((state) => {
    if (state === SessionState.Established) {
      const ear = document.getElementById("ear");
      ear.srcObject = session.sessionDescriptionHandler.remoteMediaStream;
      tell("talking");
    } else if (state === SessionState.Terminated) {
      // After the code of a refusal, which SIP.js tells next.
      setTimeout(() => tell("call ended"));
    }
  });
}

window.phone = {
  async start({ server, user, farm, password, expires_s }) {
    document.getElementById("who").textContent = `${user}@${farm}`;
    agent = new UserAgent({
      uri: UserAgent.makeURI(`sip:${user}@${farm}`),
      authorizationUsername: user,
      authorizationPassword: password,
      transportOptions: { server },
      // Without a STUN server: farm and phones are on one network.
      sessionDescriptionHandlerFactoryOptions: {
        peerConnectionConfiguration: { iceServers: [] },
      },
      delegate: {
        onInvite(invitation) {
          follow(invitation);
          tell("incoming call", { call_id: invitation.request.callId });
        },
        onDisconnect: (error) => error && tell("not registered", { reason: error.message }),
      },
    });
    registerer = new Registerer(agent, { expires: expires_s });
    registerer.stateChange.addListener((state) => {
      if (state === RegistererState.Registered) tell("registered");
      if (state === RegistererState.Unregistered) tell("unregistered");
    });
    try {
      await agent.start();
      await registerer.register({
        requestDelegate: {
          onReject: ({ message }) => tell("not registered", { code: message.statusCode }),
        },
      });
    } catch (error) {
      tell("not registered", { reason: error.message });
    }
  },

  async dial(uri) {
    follow(new Inviter(agent, UserAgent.makeURI(uri)));
    await session.invite({
      requestDelegate: {
        onProgress: ({ message }) => tell("ringing", { code: message.statusCode }),
        onReject: ({ message }) => tell("refused", { code: message.statusCode }),
      },
    });
    return session.request.callId;
  },

  async answer() {
    await session.accept();
  },

  async hold() {
    await session.invite({ sessionDescriptionHandlerModifiers: [Web.holdModifier] });
  },

  async hangUp() {
    if (session.state === SessionState.Established) await session.bye();
    else if (session instanceof Inviter) await session.cancel();
    else await session.reject();
  },

  async packets() {
    let sent = 0;
    let received = 0;
    const connection = session.sessionDescriptionHandler.peerConnection;
    for (const each of (await connection.getStats()).values()) {
      if (each.type === "outbound-rtp") sent += each.packetsSent;
      if (each.type === "inbound-rtp") received += each.packetsReceived;
    }
    return { sent, received };
  },

  async stop() {
    if (registerer.state === RegistererState.Registered) {
      const ended = new Promise((done) => registerer.stateChange.addListener(done));
      await registerer.unregister();
      await ended;
    }
    await agent.stop();
  },
};
