"""`python -m deploy.docs`: writes the generated documents anew.

In: the texts that the modules beside this one generate. Out: files in docs/.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from deploy.docs import commands, configuration, metrics

ROOT: Final = Path(__file__).resolve().parents[2]
DOCUMENTS: Final[dict[Path, Callable[[], str]]] = {
    ROOT / "docs/configuration.md": configuration.generate,
    ROOT / "docs/commands.md": commands.generate,
    ROOT / "docs/metrics.md": metrics.generate,
}


def main() -> None:
    """Write every document, and print its name."""
    for path, generate in DOCUMENTS.items():
        path.write_text(generate(), encoding="utf-8")
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
