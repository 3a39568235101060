"""Addons: what is applied to the API server, in the order in which it may be."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from string import Template

import yaml

from hack import documents
from hack.cluster import binaries, cache, components, layout, processes

_MANIFESTS = Path(__file__).parent / "manifests"
_PATIENCE = 90
"""Seconds for which an apply is tried again."""
_APPLIED = layout.DIRECTORY / "applied.json"
_WEBHOOK_URL = f"https://127.0.0.1:{components.KSERVE_PORT}"


def kubectl(*arguments: str, stdin: str | None = None, check: bool = True) -> str:
    """Run kubectl as administrator and return what it printed.

    Raises:
        RuntimeError: it failed (only with ``check``); the message is what it said.
    """
    command = [str(binaries.path("kubectl")), f"--kubeconfig={layout.KUBECONFIG}", *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        raise RuntimeError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def apply(text: str, *options: str) -> None:
    """Server-side apply: some of these objects are too large for the annotation of the other kind.

    Tried for a while: on a busy machine a webhook that listens may yet be too slow for its first call.

    Raises:
        RuntimeError: it failed to the last; the message is what kubectl said.
    """
    failures: list[RuntimeError] = []

    def applied() -> bool:
        try:
            kubectl("apply", "--server-side", "--force-conflicts", "--filename=-", *options, stdin=text)
        except RuntimeError as failure:
            failures.append(failure)
            return False
        return True

    if not processes.wait(applied, _PATIENCE, every=2):
        raise failures[-1]


def base() -> None:
    """Namespaces, Services for the host's processes, and their rights."""
    apply(_manifest("base.yaml"))


def definitions() -> None:
    """CRDs of the Gateway API, Envoy Gateway and KServe, and KServe's settings. Skipped when applied before."""
    crds = [file.read_text() for file in binaries.assets("envoy-gateway") + binaries.assets("kserve", "crd")]
    text = "\n---\n".join(crds)
    if _remembered().get("definitions") != cache.key(text):
        # Unchecked: they are as their projects ship them, and checking five megabytes takes as long as storing them.
        apply(text, "--validate=false")
        if not processes.wait(_established, 300, every=1):
            kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=5s")  # says which is not
        _APPLIED.write_text(json.dumps(_remembered() | {"definitions": cache.key(text)}))
    apply(_manifest("kserve.yaml"))


def _established() -> bool:
    """Whether every CRD is served. `kubectl wait` gives up at one so new that it has no conditions yet."""
    found = json.loads(kubectl("get", "crd", "--output=json"))["items"]
    said = [item.get("status", {}).get("conditions") or [] for item in found]
    return all(any(c["type"] == "Established" and c["status"] == "True" for c in conditions) for conditions in said)


def webhooks() -> None:
    """KServe's admission webhooks, called at the port of the host where the manager listens."""
    authority = base64.b64encode(layout.control_plane().authority.certificate.read_bytes()).decode()
    (file,) = binaries.assets("kserve", "webhook")
    found = documents.read(file.read_text())
    for configuration in found:
        configuration["metadata"].pop("creationTimestamp", None)
        for webhook in configuration["webhooks"]:
            path = webhook["clientConfig"]["service"]["path"]
            webhook["clientConfig"] = {"url": _WEBHOOK_URL + path, "caBundle": authority}
    apply(yaml.safe_dump_all(found))


def runtime() -> None:
    """The serving runtime of the demo."""
    apply(_manifest("runtime.yaml"))


def gateway() -> None:
    """The Gateway and what configures its proxy."""
    apply(_manifest("gateway.yaml"))


def gateway_certificates() -> None:
    """Certificates between Envoy Gateway and its proxies, made once per cluster, laid out as it reads them."""
    directory = layout.DIRECTORY / "envoy-gateway" / "certs"
    names = ("ca.crt", "tls.crt", "tls.key")
    if all((directory / name).exists() for name in names):
        return
    kubeconfig = layout.control_plane().user_kubeconfig("envoy-gateway", ["system:masters"])
    command = [str(binaries.path("envoy-gateway")), "certgen", "--disable-topology-injector"]
    subprocess.run(command, env={"KUBECONFIG": str(kubeconfig)}, check=True, capture_output=True)
    secret = json.loads(kubectl("get", "secret", "envoy-gateway", "--namespace=envoy-gateway-system", "--output=json"))
    directory.mkdir(parents=True, exist_ok=True)
    for name in names:
        (directory / name).write_bytes(base64.b64decode(secret["data"][name]))
    Path("/certs").mkdir(exist_ok=True)


def gateway_address() -> str | None:
    """The cluster address of the Gateway, once it is programmed."""
    text = kubectl("get", "gateway", "models", "--namespace=gateways", "--output=json", check=False)
    status = (json.loads(text) if text else {}).get("status", {})
    programmed = any(c["type"] == "Programmed" and c["status"] == "True" for c in status.get("conditions", []))
    addresses = status.get("addresses", [])
    return str(addresses[0]["value"]) if programmed and addresses else None


def proxy_ready(patience: float = 300) -> None:
    """Wait until Envoy itself takes requests; the Gateway counts as programmed a little earlier.

    Raises:
        RuntimeError: it does not in time.
    """
    selector = "gateway.envoyproxy.io/owning-gateway-name=models"
    scope = ("--namespace=envoy-gateway-system", f"--selector={selector}")
    kubectl("wait", "pod", *scope, "--for=condition=Ready", f"--timeout={patience:.0f}s")


def node_ready() -> bool:
    """Whether the node takes pods."""
    path = "jsonpath={.status.conditions[?(@.type=='Ready')].status}"
    return kubectl("get", "node", layout.NODE, f"--output={path}", check=False) == "True"


def _manifest(name: str) -> str:
    # Safe: what looks like a variable and is none ($patch) stays.
    return Template((_MANIFESTS / name).read_text()).safe_substitute(GATEWAY=layout.GATEWAY, DNS=layout.DNS)


def _remembered() -> dict[str, str]:
    return dict(json.loads(_APPLIED.read_text())) if _APPLIED.exists() else {}
