"""`python -m grafana`: write the dashboards anew.

In: the boards. Out: `dashboards/*.json`. Counterpart: `tests/unit/grafana`, which compares.
"""

from grafana.boards import BOARDS
from grafana.building import as_json
from grafana.paths import DASHBOARDS


def main() -> None:
    """Write every dashboard, name it, and remove what is none any more."""
    wanted = {DASHBOARDS / f"{board.uid}.json": board for board in BOARDS}
    for path in set(DASHBOARDS.glob("*.json")) - set(wanted):
        path.unlink()
    for path, board in wanted.items():
        path.write_text(as_json(board), encoding="utf-8")
        print(path.relative_to(DASHBOARDS.parent.parent))


if __name__ == "__main__":
    main()
