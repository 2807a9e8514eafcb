"""One command to the node's Kamailio, over its JSON-RPC datagram socket.

In: the socket's path, a command's name, its parameters. Out: what the command returns, or a
`KamailioError` with what Kamailio said.
Counterpart: module jsonrpcs in `proxy/kamailio.cfg.j2`.
"""

import json
import os
import socket
from pathlib import Path
from typing import Final

from overlay.base.errors import SipfarmError
from overlay.base.limits import KAMAILIO_ANSWER_BYTES_MAX

TIMEOUT_S: Final = 5.0


class KamailioError(SipfarmError):
    """Kamailio is away, or has refused."""


def ask(path: Path, method: str, *parameters: str) -> object:
    """Run the command and return its result; raises `KamailioError`."""
    question: dict[str, object] = {"jsonrpc": "2.0", "method": method, "id": 1}
    # Kamailio takes an empty list for a parameter.
    question |= {"params": parameters} if parameters else {}
    request = json.dumps(question).encode()
    # A path, as the kernel's own choice would be known in one network namespace alone.
    own = path.with_name(f"rpc-{os.getpid()}.sock")
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asking:
            asking.settimeout(TIMEOUT_S)
            own.unlink(missing_ok=True)
            asking.bind(str(own))
            # Kamailio's user must be able to answer.
            own.chmod(0o666)
            asking.connect(str(path))
            asking.send(request)
            answer = json.loads(asking.recv(KAMAILIO_ANSWER_BYTES_MAX))
    except (OSError, ValueError) as error:
        raise KamailioError(f"Kamailio at {path} does not answer {method}: {error}") from error
    finally:
        own.unlink(missing_ok=True)
    if "error" in answer:
        raise KamailioError(f"Kamailio refuses {method}: {answer['error'].get('message', answer)}")
    return answer.get("result")
