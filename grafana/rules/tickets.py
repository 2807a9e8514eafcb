"""Alerts that make tickets: causes, and what will become a fault; and what silences them.

In: the levels. Out: alerts. Counterparts: `docs/runbooks/`; `alertmanager.py` silences those of a
node that is away or out of service.
"""

from collections.abc import Iterator

from grafana.rules.model import JOB, Alert, Scope, Severity
from grafana.rules.pages import BURNING, burns
from grafana.rules.recording import DRAINING
from grafana.slo import Levels

_DAY_S = 86_400


def alerts(levels: Levels) -> tuple[Alert, ...]:
    """All of them."""
    return (
        *_burning_slowly(levels),
        *_nodes(levels),
        *_processes(levels),
        *_disks(levels),
        *_records(levels),
        *_farm(levels),
    )


def _ticket(name: str, scope: Scope, expression: str, summary: str, late: str = "") -> Alert:
    """`summary` follows the farm's name, and the node's if it is one node's."""
    whose = "{{ $labels.farm }}" + ("" if scope is Scope.FARM else ", {{ $labels.node }}")
    return Alert(
        name=name,
        severity=Severity.TICKET,
        scope=scope,
        expression=expression,
        late=late,
        summary=f"{whose}: {summary}",
    )


def _burning_slowly(levels: Levels) -> Iterator[Alert]:
    for slo, objective in levels.objective.items():
        name, says = BURNING[slo]
        yield Alert(
            name=f"{name}Slowly",
            severity=Severity.TICKET,
            scope=Scope.FARM,
            expression=burns(slo, objective, levels.burn, "slow"),
            summary=f"{{{{ $labels.farm }}}}: now and then {says} "
            "({{ $value | humanizePercentage }} bad)",
            slo=slo,
        )


def _nodes(levels: Levels) -> Iterator[Alert]:
    late = levels.late
    yield Alert(
        name="SipfarmNodeDrained",
        severity=Severity.NOTICE,
        scope=Scope.RECORD,
        expression=f"{DRAINING} == 1",
        summary="{{ $labels.farm }}, {{ $labels.node }}: it is taken out of service",
    )
    yield _ticket(
        "SipfarmNodeDrainedTooLong",
        Scope.RECORD,
        f"{DRAINING} == 1",
        "it was taken out of service, and not put back",
        late.drained,
    )
    yield _ticket(
        "SipfarmNodeDown", Scope.NODE, f"up{{{JOB}}} == 0", "it does not answer", late.node_down
    )
    yield _ticket(
        "SipfarmNodesSplit",
        Scope.NODE,
        f"count by (farm) (up{{{JOB}}} == 1)\n- on (farm) group_right ()\n"
        'sum by (farm, node) (sipfarm_members{state=~"alive|suspect"}) > 1',
        "it does not see {{ $value }} nodes (itself counted) that answer",
        late.split,
    )
    yield _ticket(
        "SipfarmRestarting",
        Scope.NODE,
        f"changes(process_start_time_seconds{{{JOB}}}[{levels.told.starts}])"
        f" > {levels.limit.starts_max}",
        "its daemon was started {{ $value }} times",
    )


def _processes(levels: Levels) -> Iterator[Alert]:
    late, limit = levels.late, levels.limit
    for process, metric in (("Kamailio", "sipfarm_kamailio_up"), ("Redis", "sipfarm_redis_up")):
        yield _ticket(
            f"Sipfarm{process}Down",
            Scope.NODE,
            f"{metric} == 0",
            f"its {process} does not answer",
            late.process_down,
        )
    yield _ticket(
        "SipfarmOverloaded",
        Scope.NODE,
        f"rate(sipfarm_proxy_shed_total[{late.overloaded}]) > {limit.shed_per_s_max:g}",
        "it is behind with its work, and refuses {{ $value | humanize }} requests a second",
        late.overloaded,
    )
    yield _ticket(
        "SipfarmMemoryLow",
        Scope.NODE,
        "kamailio_shm_free_bytes / kamailio_shm_total_bytes"
        f" < {limit.shared_memory_free_share_min:g}",
        "{{ $value | humanizePercentage }} of Kamailio's shared memory is free",
        late.memory,
    )
    yield _ticket(
        "SipfarmDescriptorsLow",
        Scope.NODE,
        f"process_open_fds{{{JOB}}} / process_max_fds{{{JOB}}}"
        f" > {limit.descriptors_used_share_max:g}",
        "{{ $value | humanizePercentage }} of the daemon's file descriptors are in use",
        late.memory,
    )
    yield _ticket(
        "SipfarmRouteErrors",
        Scope.NODE,
        f"increase(sipfarm_proxy_python_errors_total[{levels.told.errors}]) > 0",
        "{{ $value | humanize }} errors in the routing script",
    )


def _disks(levels: Levels) -> Iterator[Alert]:
    late, limit = levels.late, levels.limit
    yield _ticket(
        "SipfarmDiskFailing",
        Scope.NODE,
        "sipfarm_disk_ok == 0",
        "its last commit failed",
        late.disk_failing,
    )
    yield _ticket(
        "SipfarmDiskFull",
        Scope.NODE,
        f"sipfarm_disk_free_bytes < {limit.disk_free_bytes_min}",
        "{{ $value | humanize1024 }}B are free for its data",
        late.disk_full,
    )
    yield _ticket(
        "SipfarmDataDamaged",
        Scope.RECORD,
        f"increase(sipfarm_rotten_rows_total[{levels.told.damage}]) > 0\n"
        "or\nsipfarm_broken_files > 0",
        "what is on its disk is not as it was written",
    )


def _records(levels: Levels) -> Iterator[Alert]:
    late, told, limit = levels.late, levels.told, levels.limit
    yield _ticket(
        "SipfarmRecordsForged",
        Scope.RECORD,
        f"increase(sipfarm_records_forged_total[{told.damage}]) > 0",
        "it was sent records that the operator had not signed",
    )
    yield _ticket(
        "SipfarmBlocksUnsigned",
        Scope.RECORD,
        f"increase(sipfarm_block_failures_total[{told.errors}]) > 0\n"
        "and on (farm, node)\nsipfarm_unsigned_events > 0",
        "signed blocks of call events cannot be stored",
        late.export,
    )
    yield _ticket(
        "SipfarmExportStuck",
        Scope.NODE,
        f"sipfarm_export_up == 0\nor\nsipfarm_export_lag_seconds > {limit.export_lag_s_max}",
        "the sink {{ $labels.sink }} does not get its records",
        late.export,
    )
    yield _ticket(
        "SipfarmCertificateExpiring",
        Scope.RECORD,
        "sipfarm_certificate_expiry_timestamp_seconds - time()"
        f" < {limit.certificate_days_min * _DAY_S}",
        "its certificate expires in {{ $value | humanizeDuration }}",
        late.certificate,
    )


def _farm(levels: Levels) -> Iterator[Alert]:
    late = levels.late
    yield _ticket(
        "SipfarmGatewayDown",
        Scope.FARM,
        "max by (farm, trunk, gateway) (sipfarm_gateway_up) == 0",
        "the gateway {{ $labels.gateway }} of the trunk {{ $labels.trunk }} answers no node",
        late.process_down,
    )
    yield _ticket(
        "SipfarmDnsNotPublished",
        Scope.FARM,
        f"sum by (farm) (increase(sipfarm_dns_update_failures_total[{late.dns}])) > 0",
        "{{ $value | humanize }} failed tries at publishing the farm's records",
        late.dns,
    )
    yield _ticket(
        "SipfarmVersionsDiffer",
        Scope.FARM,
        "count by (farm) (count by (farm, version) (sipfarm_info)) > 1",
        "{{ $value }} versions run at a time",
        late.versions,
    )
