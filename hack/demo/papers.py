"""Papers: what a bank files beside a model before it may decide anything: data sets, model card, validation, signature.

The people are made up; everything else is what it says: the digests are of these files, the figures were measured,
the signature is checked by whoever trusts the key.
"""

from __future__ import annotations

import json
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import mlflow
import pandas as pd
from mlflow.data.pandas_dataset import from_pandas
from mlflow.tracking import MlflowClient
from model_signing import signing

from hack.demo import data, keys
from hack.demo.acts import REGISTRY_NAMES
from hack.demo.data import Housing
from sluice.storage import digest

DEVELOPER, VALIDATOR = REGISTRY_NAMES

CARD = """\
# California house prices, version 6

The probability that the homes of a district are expensive, from eight figures of the census of 1990.

## Intended use

- house price bands: sort districts into bands for reports

## Prohibited use

- lending decisions about people
- insurance pricing

## Limitations

Trained on 1990 only. Coastal districts are capped at the census limit, and so is what the model knows of them.

## Human oversight

housing-analytics@example.com reads the bands before they are published and can withdraw them.
"""


def file(run: str, model_uri: str, housing: Housing) -> None:
    """File everything with the run that logged the model, which must be the active one."""
    client = MlflowClient()
    client.set_tag(run, "mlflow.user", DEVELOPER)
    client.set_tag(run, "sluice.license", "Apache-2.0")
    for context, rows in (("training", housing.rows), ("evaluation", housing.live)):
        frame = pd.DataFrame(rows, columns=data.FEATURES)
        given = from_pandas(frame, source=f"https://example.com/census-1990/{context}.csv", name=context)
        mlflow.log_input(given, context=context)
    with tempfile.TemporaryDirectory() as scratch:
        files = Path(mlflow.artifacts.download_artifacts(model_uri, dst_path=f"{scratch}/model"))
        # MLflow's client leaves this beside what it downloads; it is none of the model's files.
        (files / "registered_model_meta").unlink(missing_ok=True)
        beside = Path(scratch) / "beside"
        beside.mkdir()
        (beside / "MODEL_CARD.md").write_text(CARD)
        (beside / "validation.json").write_text(json.dumps(_validation(digest.directory(files)), indent=2))
        config = signing.Config()  # type: ignore[no-untyped-call]
        signer = config.use_elliptic_key_signer(private_key=keys.private(keys.MODELS))
        signer.sign(files, beside / "model.sig")
        client.log_artifacts(run, str(beside))


def _validation(model: str) -> dict[str, str]:
    now = datetime.now(UTC)
    return {
        "modelDigest": model,
        "result": "pass",
        "validator": VALIDATOR,
        "performedAt": now.isoformat(),
        "nextDueAt": (now + timedelta(days=365)).isoformat(),
    }
