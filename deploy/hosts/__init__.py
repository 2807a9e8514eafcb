"""Real Debian hosts on this machine, for what namespaces cannot show: packages, units, reboots."""

from deploy.hosts.hosts import Hosts
from deploy.hosts.layout import Host, HostsError, host

__all__ = ["Host", "Hosts", "HostsError", "host"]
