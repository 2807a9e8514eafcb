"""Which nodes the farm has, and in which state each of them is.

Five words:

- member: another node as this node knows it: alive, suspect, dead or left.
- claim: what one node says about the state of another. Of two claims about a member, every node
  keeps the same one (`overlay/links/member_claims.py`).
- probe: a ping to one member at a time. If the member does not answer, other nodes ping it too.
- suspicion: the time in which a silent member may show that it lives.
- gossip: news of members, which every node passes on to a few peers at a time.

The way of data:

    links, probes, gossip ─▶ members ─▶ listeners: placement, cache, dns, maintenance
    members, and a file of earlier members ─▶ scrape_targets ─▶ /sd, for Prometheus
    discovery (seeds, DNS, mDNS) ─▶ dialler ─▶ links
"""
