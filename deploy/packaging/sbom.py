"""Lists the package's parts for programs that look for known weaknesses (CycloneDX 1.6).

In: the list of the environment's Python packages. Out: one JSON text, which is always the same for
the same parts. Counterpart: `bundle.py`.
"""

import json
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deploy.packaging.bundle import Bundled
from deploy.packaging.environment import HOME


def text(bundled: Sequence[Bundled], environment: Path, date: int) -> str:
    """The list as JSON. The packages `bundled` lie in `environment`; `date` is a Unix time."""
    parts = [_component(each, environment) for each in bundled]
    (node,) = (each for each in parts if each["name"] == "sipfarm")
    others = [each for each in parts if each is not node]
    body: dict[str, Any] = {
        "metadata": {
            "timestamp": datetime.fromtimestamp(date, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {**node, "type": "application"},
        },
        "components": others,
        "dependencies": [
            {
                "ref": _purl(each),
                "dependsOn": [_purl(by_name) for by_name in _needed(each, bundled)],
            }
            for each in bundled
        ],
    }
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(body, sort_keys=True))
    head = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
    }
    return json.dumps({**head, **body}, indent=2, ensure_ascii=False) + "\n"


def _component(each: Bundled, environment: Path) -> dict[str, Any]:
    references = [
        {"type": "bom", "url": (HOME / path.relative_to(environment)).as_uri()}
        for path in each.boms
    ]
    if each.homepage:
        references.append({"type": "website", "url": each.homepage})
    licence = {"expression": each.licence} if each.is_spdx else {"license": {"name": each.licence}}
    return {
        "type": "library",
        "bom-ref": _purl(each),
        "name": each.name,
        "version": each.version,
        "description": each.summary,
        "licenses": [licence],
        "purl": _purl(each),
        **({"externalReferences": references} if references else {}),
    }


def _needed(each: Bundled, bundled: Sequence[Bundled]) -> list[Bundled]:
    return [other for other in bundled if other.name in each.needs]


def _purl(each: Bundled) -> str:
    return f"pkg:pypi/{each.name}@{each.version}"
