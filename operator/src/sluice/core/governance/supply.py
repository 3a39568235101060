"""Supply chain (GOV-SUP): the files that serve are the files that were approved, and nothing came with them."""

from __future__ import annotations

import re

from sluice.api.evidence import SignatureState
from sluice.api.governance import Assurance
from sluice.api.governancepolicy import Severity
from sluice.core.governance.checks import RELEASED, SERVED, is_any, listed, reference, started, unread
from sluice.core.governance.control import Control, Finding, Parameter, Parameters, error, failed, passed, skipped
from sluice.core.governance.facts import Facts
from sluice.core.governance.parameters import words

_PINNED = re.compile(".+@sha256:[0-9a-f]{64}")
_UNRESOLVED = "the model is not resolved yet; `kubectl describe md` says why"


def _pinned(facts: Facts, _: Parameters) -> Finding:
    if facts.model is None:
        return failed(_UNRESOLVED)
    model = facts.model
    return passed(f"{model.name} {model.version} is pinned", reference(f"{model.name}/{model.version}", model.digest))


def _signed(facts: Facts, values: Parameters) -> Finding:
    signers = words(values, "signers")
    if facts.evidence is None:
        return unread(facts)
    signature = facts.evidence.signature
    why = f": {signature.message}" if signature.message else ""
    if signature.state is SignatureState.UNCHECKED:
        return error(f"the signature was not checked{why}; the platform team configures the keys that are trusted")
    if signature.state is SignatureState.UNSIGNED:
        return failed(f"the model is not signed{why}; whoever releases models signs it with a trusted key")
    where = reference("model.sig", signature.digest)
    if signature.state is not SignatureState.VERIFIED:
        return failed(f"the model's signature is not valid{why}; find out who changed the files", where)
    if not is_any(signature.signer or "", signers):
        return failed(
            f"it is signed by {signature.signer or 'nobody in particular'}, and must be by "
            f"{listed(signers) or 'nobody'}",
            where,
        )
    return passed(f"signed by {signature.signer}", where)


def _loaded(facts: Facts, _: Parameters) -> Finding:
    if facts.model is None:
        return failed(_UNRESOLVED)
    if not facts.loaded_digest:
        if not started(facts):
            return skipped("nothing is loaded yet; it is asked again before the first step")
        return failed(
            "the model's files were not verified as it started; wait for its pod, and if it stays so, the "
            "platform team "
            "sees to it that KServe loads it with Sluice's storage initializer"
        )
    if facts.loaded_digest != facts.model.digest:
        return failed(
            f"the files that were loaded are {facts.loaded_digest}, and those released are "
            f"{facts.model.digest}: they were "
            "changed in the registry; release them as a version of their own"
        )
    return passed("the files that serve are those released", reference("loaded files", facts.loaded_digest))


def _serialized(facts: Facts, values: Parameters) -> Finding:
    safe = {word.casefold() for word in words(values, "safe")}
    results = {word.casefold() for word in words(values, "results")}
    if facts.evidence is None:
        return unread(facts)
    formats = facts.evidence.formats
    if not formats:
        return failed(
            "how the model's files are serialised is not known; the team logs it in a known format, such as skops"
        )
    found = sorted(name for name in formats if name.strip().casefold() not in safe)
    if not found:
        return passed(f"serialised as {listed(formats)}", assurance=Assurance.DERIVED)
    scan, digest = facts.evidence.scan.strip(), facts.evidence.scan_digest
    if scan.casefold() not in results or digest is None:
        said = f"its scan says {scan}" if scan else "no scan is recorded"
        return failed(
            f"{listed(found)} can run code when it is loaded, and "
            f"{said if digest or not scan else 'its scan has no digest'}; "
            "the team saves it in a format that cannot, or has it scanned and sets sluice.scan.result and "
            "sluice.scan.digest"
        )
    return passed(f"{listed(found)}, scanned: {scan}", reference("scan report", digest))


def _image(facts: Facts, values: Parameters) -> Finding:
    images = words(values, "images")
    if not facts.image:
        return error(
            "the model server's image is not known; `kubectl get clusterservingruntimes,servingruntimes` shows "
            "whether the "
            "runtime is there"
        )
    if not _PINNED.fullmatch(facts.image):
        return failed(
            f"{facts.image} is not pinned; the platform team names it by digest in the ServingRuntime (@sha256:…)"
        )
    if not is_any(facts.image, images):
        return failed(f"{facts.image} is not from an allowed registry ({listed(images) or 'none is'})")
    return passed(f"the model server is {facts.image}")


CONTROLS = (
    Control(
        id="GOV-SUP-01",
        title="The model is pinned to a version and to the digest of its files",
        stages=SERVED,
        severity=Severity.CRITICAL,
        assurance=Assurance.DERIVED,
        remedy="Sluice does it; if it cannot, `kubectl describe md` says why.",
        check=_pinned,
        parameters={},
    ),
    Control(
        id="GOV-SUP-02",
        title="A trusted key signed exactly these files",
        stages=RELEASED,
        severity=Severity.CRITICAL,
        assurance=Assurance.VERIFIED,
        remedy="Whoever releases models signs them with OpenSSF Model Signing; the platform team configures the "
        "trusted keys.",
        check=_signed,
        parameters={"signers": Parameter("*", "Which trusted keys may have signed, with * for anything.")},
    ),
    Control(
        id="GOV-SUP-03",
        title="The files that serve are the files that were released",
        stages=SERVED,
        severity=Severity.CRITICAL,
        assurance=Assurance.DERIVED,
        remedy="The platform team sees to it that KServe loads models with Sluice's storage initializer, which "
        "checks them.",
        check=_loaded,
        parameters={},
    ),
    Control(
        id="GOV-SUP-04",
        title="The files cannot run code when they are loaded, or were scanned for it",
        stages=RELEASED,
        severity=Severity.HIGH,
        assurance=Assurance.DECLARED,
        remedy="The team saves the model in a safe format, or has it scanned and tags the result.",
        check=_serialized,
        parameters={
            "safe": Parameter(
                "safetensors, onnx, gguf, numpy, npz, json, text, xgboost-json, xgboost-ubj, lightgbm, catboost, skops",
                "Formats that cannot run code; whatever is not among them can.",
            ),
            "results": Parameter("pass, passed, clean", "Results of a scan that are good enough."),
        },
    ),
    Control(
        id="GOV-SUP-05",
        title="The model server's image is pinned by digest and from an allowed registry",
        stages=SERVED,
        severity=Severity.HIGH,
        assurance=Assurance.DERIVED,
        remedy="The platform team names the image by digest in the ServingRuntime.",
        check=_image,
        parameters={
            "images": Parameter("*", "Images that are allowed, with * for anything, such as `registry.bank/*`.")
        },
    ),
)
