"""Runs whole Debian systems on this machine, to try packages, units and reboots.

The lab's network namespaces cannot show these, as they share the machine's own systemd.
"""

from deploy.hosts.hosts import Hosts
from deploy.hosts.layout import Host, HostsError, host

__all__ = ["Host", "Hosts", "HostsError", "host"]
