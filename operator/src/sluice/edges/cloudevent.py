"""CloudEvent: what is told to hooks, in the JSON of CloudEvents 1.0."""

from __future__ import annotations

import hashlib
import json

from sluice.api.base import format_time
from sluice.core.plan import Outgoing
from sluice.edges.courier import Letter

CONTENT_TYPE = "application/cloudevents+json"


def letter(event: Outgoing, namespace: str, deployment: str) -> Letter:
    """The message that tells of an event; the same bytes at each try."""
    model = event.model
    said = {
        "specversion": "1.0",
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "subject": event.subject,
        "time": format_time(event.time),
        "datacontenttype": "application/json",
        "data": {
            "namespace": namespace,
            "deployment": deployment,
            "revision": event.subject,
            "monitor": event.monitor,
            "message": event.message,
            "model": {"name": model.name, "version": model.version, "digest": model.digest},
        },
    }
    body = json.dumps(said, sort_keys=True).encode()
    # An event's id is its source's own, and has full stops, which separate the parts of what is signed.
    name = hashlib.sha256(f"{event.source} {event.id}".encode()).hexdigest()[:32]
    return Letter(event.url, f"msg_{name}", body, event.timeout, CONTENT_TYPE)
