"""DNS: does the world learn which nodes serve?"""

from typing import Final

from grafana import thresholds
from grafana.board import Board, Nodes, Query, Section, Unit, graph, note, number
from grafana.promql import gauge, rate, total

_PUBLISHED: Final = Section(
    title="What the world is told",
    panels=(
        note(
            "What these figures are not",
            "sipfarm does not count the **queries** that its name servers answer. The daemon tells "
            "PowerDNS which nodes serve; whether a name server answers from outside is for a probe "
            "to find out.",
        ),
        number(
            "Nodes that can be in DNS",
            "Nodes whose Kamailio answers: only these are named. One that drains is taken out as "
            "well, and is still counted here.",
            Unit.COUNT,
            f"sum({gauge('sipfarm_kamailio_up')})",
            marks=thresholds.MUST_BE_THERE,
            width=6,
        ),
        number(
            "Nodes that publish",
            "Nodes that update the farm's records at a name server elsewhere. One is enough; 0 is "
            "normal where [dns_update] is not configured.",
            Unit.COUNT,
            f"sum({gauge('sipfarm_dns_publishing')})",
            width=6,
        ),
        number(
            "Failed updates",
            "Tries at publishing that the name server did not accept, a second.",
            Unit.PER_SECOND,
            rate("sipfarm_dns_update_failures_total"),
            marks=thresholds.NEVER,
            width=6,
        ),
        number(
            "Failed look-ups of Kamailio",
            "For where requests go that leave the farm, a second.",
            Unit.PER_SECOND,
            rate("kamailio_dns_failed_dns_request_total"),
            width=6,
        ),
        graph(
            "Nodes whose Kamailio answers, by zone",
            "A node whose Kamailio does not answer is out of every node's DNS within a second.",
            Unit.COUNT,
            Query(expression=total("sipfarm_kamailio_up", "zone"), legend="zone {{zone}}"),
        ),
        graph(
            "Which node publishes",
            "1 while it does. Another one takes over when it dies.",
            Unit.COUNT,
            Query(expression=gauge("sipfarm_dns_publishing"), legend="{{node}}"),
        ),
        graph(
            "Updates of the farm's records",
            "At a name server elsewhere.",
            Unit.PER_SECOND,
            Query(expression=rate("sipfarm_dns_updates_total"), legend="accepted"),
            Query(expression=rate("sipfarm_dns_update_failures_total"), legend="failed"),
            marks=thresholds.NEVER,
            alerts=("SipfarmDnsNotPublished",),
        ),
        graph(
            "Look-ups of Kamailio",
            "Slow ones hold up a worker, and what is behind it.",
            Unit.PER_SECOND,
            Query(expression=rate("kamailio_dns_failed_dns_request_total"), legend="failed"),
            Query(expression=rate("kamailio_dns_slow_dns_request_total"), legend="slow"),
        ),
    ),
)

BOARD: Final = Board(
    name="dns",
    title="sipfarm: DNS",
    text="Whether the world learns which nodes serve.",
    nodes=Nodes.SOME,
    sections=(_PUBLISHED,),
)
