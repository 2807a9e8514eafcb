"""The farm's zone, made of the nodes that are alive (RFC 3263, RFC 2782).

- zone view: the nodes with their addresses, weights and transports at one moment
- record: NAPTR, SRV, A or AAAA for phones, made of the view
- backend: the Unix socket on which PowerDNS asks for records
- publication: the same records in a zone of the operator's own servers (RFC 2136)
- purging: telling PowerDNS to forget what it was told before

    membership -> zone -> server -> PowerDNS -> phones
                    +-> publisher -> the operator's DNS servers
"""
