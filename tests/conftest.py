"""Gives a failed test a second try, and reports both in full.

Hundreds of real processes share two cores with other work of the machine. Now and then the machine
halts one of them for longer than a test can wait. So a failed test is tried once more. The end of
the run shows how it failed the first time, whatever the result of the second. More than
`SECOND_TRIES_MAX` second tries are no accident, and fail the run.

A failure with a lasting cause does not pass by this: seeds are fixed, also those of hypothesis,
which tries others with `--hypothesis-profile search`. Hypothesis does not judge here how long a
case takes.
"""

import pytest
from hypothesis import HealthCheck, settings

SECOND_TRIES_MAX = 3

settings.register_profile(
    "search", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=False
)
settings.register_profile("fixed", settings.get_profile("search"), derandomize=True)
settings.load_profile("fixed")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what failed at the first try."""
    tried = terminalreporter.getreports("rerun")
    if not tried:
        return
    terminalreporter.section(f"FAILED AT THE FIRST TRY: {len(tried)}")
    for report in tried:
        terminalreporter.write_sep("_", report.nodeid)
        report.toterminal(terminalreporter._tw)
    if len(tried) > SECOND_TRIES_MAX:
        terminalreporter.write_line(
            f"{len(tried)} tests needed a second try; {SECOND_TRIES_MAX} may", red=True
        )


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Too many second tries are a failure."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if len(reporter.getreports("rerun")) > SECOND_TRIES_MAX and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
