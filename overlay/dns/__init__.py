"""The farm's DNS zone, made of the nodes that are alive (RFC 3263, RFC 2782).

Five words:

- zone view: the nodes at one moment, with their addresses, weights and transports.
- record: a NAPTR, SRV, A or AAAA record for phones. It is made of the view.
- backend: the Unix socket on which PowerDNS asks for records.
- publication: the same records in a zone on the operator's own servers (RFC 2136).
- purging: telling PowerDNS to forget the answers that it has cached.

The way of data:

    membership ─▶ zone ─▶ server ─▶ PowerDNS ─▶ phones
                    └─▶ publisher ─▶ the operator's DNS servers
"""
