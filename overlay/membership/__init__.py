"""Who is in the farm, and how each of them is.

- member: another node as this one knows it: alive, suspect, dead or left
- claim: what one node says of another; of two claims one holds, on every node the same
- probe: a ping to one member at a time, through others where it does not answer
- suspicion: the time in which a silent member may show that it lives
- target: a node that a Prometheus is to ask, the dead of a week among them
- gossip: news of members, passed on to a few peers at a time

    links, probes, gossip -> members -> listeners: placement, cache, dns, maintenance
    members, and a file of those before -> scrape_targets -> /sd
    discovery (seeds, DNS, mDNS) -> dialler -> links
"""
