"""For each alert: figures at which it must fire, and figures, as near as can be, at which not.

In: nothing. Out: `CASES`. Counterpart: `test_rules.py`, which has promtool play them. Values are
written as promtool wants them: `0+5x20` begins at 0 and rises by 5 twenty times, a step apart.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

Series = Mapping[str, str]

DAY_S: Final = 86_400


@dataclass(frozen=True, kw_only=True)
class Case:
    """Figures, and how many alerts of the name fire at the end."""

    alert: str
    what: str
    series: Series
    end_min: int
    fires: int = 0
    step: str = "1m"


def of(metric: str, values: str, node: str = "n1", **labels: str) -> dict[str, str]:
    """One series of a node of the farm."""
    all_labels = {"farm": "f.test", "job": "sipfarm", "node": node, **labels}
    shown = ",".join(f'{name}="{value}"' for name, value in all_labels.items())
    return {f"{metric}{{{shown}}}": values}


def up(*values: str) -> dict[str, str]:
    """The nodes n1, n2 and so on."""
    found: dict[str, str] = {}
    for number, each in enumerate(values, 1):
        found |= of("up", each, f"n{number}")
    return found


def calls(refused: str, all_calls: str) -> dict[str, str]:
    """Of the calls, those that are refused; nothing else goes wrong with them."""
    others = ("events_dropped", "forward_failed", "daemon_failed")
    found = of("sipfarm_proxy_calls_refused_total", refused)
    for each in others:
        found |= of(f"sipfarm_proxy_{each}_total", "0x300")
    return found | of("kamailio_core_rcv_request_total", all_calls, method="invite")


def registrations(failed: str, done: str) -> dict[str, str]:
    return {
        **of("sipfarm_proxy_registers_failed_total", failed),
        **of("sipfarm_proxy_daemon_failed_total", "0x300"),
        **of("sipfarm_proxy_registers_done_total", done),
    }


def records(journal: str, quorum: str) -> dict[str, str]:
    name = "sipfarm_call_events_total"
    return of(name, journal, kind="START", level="journal") | of(
        name, quorum, kind="START", level="quorum"
    )


def reachable(broken: str, hot: str) -> dict[str, str]:
    found = of("sipfarm_proxy_flows_broken_total", broken)
    for each in ("cold", "failed"):
        found |= of(f"sipfarm_proxy_lookups_{each}_total", "0x300")
    return found | of("sipfarm_proxy_lookups_hot_total", hot)


def both(
    alert: str,
    fires: Series,
    does_not: Series,
    end_min: int,
    *more: tuple[str, Series],
    step: str = "1m",
) -> tuple[Case, ...]:
    """One case of each kind, and more at which it does not fire."""
    quiet = (("not so much", does_not), *more)
    return (
        Case(alert=alert, what="fires", series=fires, end_min=end_min, fires=1, step=step),
        *(
            Case(alert=alert, what=what, series=series, end_min=end_min, step=step)
            for what, series in quiet
        ),
    )


def constant(metric: str, bad: str, good: str, alert: str, end_min: int) -> tuple[Case, ...]:
    """An alert on how one figure of one node is."""
    return both(
        alert,
        of(metric, f"{bad}x300"),
        of(metric, f"{good}x300"),
        end_min,
        ("not for long", of(metric, f"{good}x{end_min - 1} {bad}x300")),
    )


def rising(metric: str, alert: str) -> tuple[Case, ...]:
    """An alert that tells of something that ought never to happen."""
    return both(alert, of(metric, "0x5 1x60"), of(metric, "7x60"), 12)


def drained(values: str) -> dict[str, str]:
    return of("sipfarm_member_draining", values, "n1", member="n3")


def runs(version: str, values: str, node: str) -> dict[str, str]:
    labels = {"farm_name": "f.test", "node_name": node, "zone_name": "", "version": version}
    return of("sipfarm_info", values, node, **labels)


PAGES: Final = (
    *both(
        "SipfarmCallsFailing",
        calls("0+5x20", "0+100x20"),
        calls("0+1x20", "0+100x20"),
        10,
        ("too few", calls("0+1x5 5x20", "0+1x5 5x20")),
        ("over", calls("0+50x3 150x20", "0+100x20")),
    ),
    *both(
        "SipfarmRegistrationsFailing",
        registrations("0+5x20", "0+95x20"),
        registrations("0+1x20", "0+99x20"),
        10,
    ),
    *both(
        "SipfarmRecordsUnsafe",
        records("0+5x20", "0+95x20"),
        records("0+1x20", "0+99x20"),
        10,
        ("none ever", of("sipfarm_call_events_total", "0+95x20", kind="START", level="quorum")),
    ),
    *both(
        "SipfarmPhonesUnreachable",
        reachable("0+10x20", "0+100x20"),
        reachable("0+5x20", "0+100x20"),
        10,
    ),
    *both(
        "SipfarmFarmDown",
        up("0x20", "0x20"),
        up("0x20", "1x20"),
        5,
        ("not for long", up("1x4 0x20", "1x4 0x20")),
    ),
    Case(alert="SipfarmFarmDown", what="none is known", series={}, end_min=5, fires=1),
    *both(
        "SipfarmNodesDown",
        up("1x20", "0x20", "0x20"),
        up("1x20", "1x20", "0x20"),
        10,
        ("one is drained", up("1x20", "0x20", "0x20") | drained("1x20")),
    ),
    *constant("sipfarm_journal_depth", "3", "0", "SipfarmRecordsLate", 15),
    *both(
        "SipfarmTrunkDown",
        of("sipfarm_gateway_up", "0x20", trunk="north", gateway="sip:a")
        | of("sipfarm_gateway_up", "0x20", "n2", trunk="north", gateway="sip:b"),
        of("sipfarm_gateway_up", "0x20", trunk="north", gateway="sip:a")
        | of("sipfarm_gateway_up", "1x20", "n2", trunk="north", gateway="sip:b"),
        10,
    ),
)

SLOWLY: Final = (
    *both(
        "SipfarmCallsFailingSlowly",
        calls("0+5x300", "0+1000x300"),
        calls("0+2x300", "0+1000x300"),
        180,
        step="5m",
    ),
    *both(
        "SipfarmRegistrationsFailingSlowly",
        registrations("0+5x300", "0+995x300"),
        registrations("0+2x300", "0+998x300"),
        180,
        step="5m",
    ),
    *both(
        "SipfarmRecordsUnsafeSlowly",
        records("0+5x300", "0+995x300"),
        records("0+2x300", "0+998x300"),
        180,
        step="5m",
    ),
    *both(
        "SipfarmPhonesUnreachableSlowly",
        reachable("0+20x300", "0+1000x300"),
        reachable("0+10x300", "0+1000x300"),
        180,
        step="5m",
    ),
)

NODES: Final = (
    *both("SipfarmNodeDrained", drained("1x20"), drained("1x1 _x20"), 8),
    *both(
        "SipfarmNodeDrainedTooLong",
        drained("1x300"),
        drained("1x40 _x300"),
        250,
        step="5m",
    ),
    *constant("up", "0", "1", "SipfarmNodeDown", 8),
    *both(
        "SipfarmNodesSplit",
        up("1x20", "1x20", "1x20")
        | of("sipfarm_members", "1x20", state="alive")
        | of("sipfarm_members", "0x20", state="suspect"),
        up("1x20", "1x20", "1x20")
        | of("sipfarm_members", "1x20", state="alive")
        | of("sipfarm_members", "1x20", state="suspect"),
        10,
    ),
    *both(
        "SipfarmRestarting",
        of("process_start_time_seconds", "0x5 1x5 2x5 3x5 4x30"),
        of("process_start_time_seconds", "0x5 1x5 2x5 3x30"),
        30,
    ),
    *constant("sipfarm_kamailio_up", "0", "1", "SipfarmKamailioDown", 5),
    *constant("sipfarm_redis_up", "0", "1", "SipfarmRedisDown", 5),
    *both(
        "SipfarmOverloaded",
        of("sipfarm_proxy_shed_total", "0+12x60"),
        of("sipfarm_proxy_shed_total", "0+5x60"),
        25,
    ),
    *both(
        "SipfarmMemoryLow",
        of("kamailio_shm_free_bytes", "5x20") | of("kamailio_shm_total_bytes", "100x20"),
        of("kamailio_shm_free_bytes", "10x20") | of("kamailio_shm_total_bytes", "100x20"),
        15,
    ),
    *both(
        "SipfarmDescriptorsLow",
        of("process_open_fds", "81x20") | of("process_max_fds", "100x20"),
        of("process_open_fds", "80x20") | of("process_max_fds", "100x20"),
        15,
    ),
    *rising("sipfarm_proxy_python_errors_total", "SipfarmRouteErrors"),
    *constant("sipfarm_disk_ok", "0", "1", "SipfarmDiskFailing", 5),
    *constant("sipfarm_disk_free_bytes", "1073741823", "1073741824", "SipfarmDiskFull", 15),
)

FARM: Final = (
    *rising("sipfarm_rotten_rows_total", "SipfarmDataDamaged"),
    *both(
        "SipfarmDataDamaged",
        of("sipfarm_broken_files", "1x20"),
        of("sipfarm_broken_files", "0x20"),
        5,
    ),
    *rising("sipfarm_records_forged_total", "SipfarmRecordsForged"),
    *both(
        "SipfarmBlocksUnsigned",
        of("sipfarm_block_failures_total", "0+1x60") | of("sipfarm_unsigned_events", "4x60"),
        of("sipfarm_block_failures_total", "0+1x60") | of("sipfarm_unsigned_events", "0x60"),
        45,
    ),
    *both(
        "SipfarmExportStuck",
        of("sipfarm_export_up", "0x60", sink="kafka"),
        of("sipfarm_export_up", "1x60", sink="kafka"),
        45,
        ("late, but not so late", of("sipfarm_export_lag_seconds", "3600x60", sink="kafka")),
    ),
    Case(
        alert="SipfarmExportStuck",
        what="up, and far behind",
        series=of("sipfarm_export_lag_seconds", "3601x60", sink="kafka"),
        end_min=45,
        fires=1,
    ),
    *both(
        "SipfarmCertificateExpiring",
        of("sipfarm_certificate_expiry_timestamp_seconds", f"{21 * DAY_S}x90"),
        of("sipfarm_certificate_expiry_timestamp_seconds", f"{22 * DAY_S}x90"),
        90,
    ),
    *both(
        "SipfarmGatewayDown",
        of("sipfarm_gateway_up", "0x20", trunk="north", gateway="sip:a"),
        of("sipfarm_gateway_up", "0x20", trunk="north", gateway="sip:a")
        | of("sipfarm_gateway_up", "1x20", "n2", trunk="north", gateway="sip:a"),
        5,
    ),
    *both(
        "SipfarmDnsNotPublished",
        of("sipfarm_dns_update_failures_total", "0+1x40"),
        of("sipfarm_dns_update_failures_total", "0 1x40"),
        35,
    ),
    *both(
        "SipfarmVersionsDiffer",
        runs("0.1.0", "1x60", "n1") | runs("0.2.0", "1x60", "n2"),
        runs("0.2.0", "1x60", "n1") | runs("0.2.0", "1x60", "n2"),
        26 * 60,
        (
            "an upgrade of half a day",
            runs("0.1.0", "1x24 _x60", "n1") | runs("0.2.0", "1x60", "n2"),
        ),
        step="30m",
    ),
)

CASES: Final = (*PAGES, *SLOWLY, *NODES, *FARM)
