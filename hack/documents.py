"""Documents: Kubernetes manifests read from YAML by libyaml.

YAML's parser in pure Python takes five seconds for the CRD of KServe's InferenceService, and every API server of the
tests is given it.
"""

from __future__ import annotations

from typing import Any

import yaml

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml is in every wheel of PyYAML; a build from source may lack it."""


def read(text: str) -> list[dict[str, Any]]:
    """The documents of a text that are not empty.

    Raises:
        yaml.YAMLError: the text is not YAML.
    """
    return [document for document in yaml.load_all(text, _Loader) if document]
