"""Observability: what Prometheus scrapes, and which labels it gives the samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

SCRAPE_INTERVAL = "1s"
_POD = "__meta_kubernetes_pod_"
_ROUTE = r"httproute/([^/]+)/([^/]+)/rule/([0-9]+)/backend/([0-9]+)"
_MIRROR = r"httproute/([^/]+)/([^/]+)/rule/([0-9]+)-(mirror)-[0-9]+"
"""Name of the Envoy cluster of one weighted backend: namespace, name, rule, position."""


def prometheus(kubeconfig: Path, directory: Path) -> str:
    """The configuration of Prometheus. Rule files dropped into ``rules/`` are read at each reload."""
    pods = {"role": "pod", "kubeconfig_file": str(kubeconfig)}
    configuration = {
        "global": {"scrape_interval": SCRAPE_INTERVAL, "scrape_timeout": SCRAPE_INTERVAL, "evaluation_interval": "2s"},
        "rule_files": [str(directory / "rules" / "*.yaml")],
        "scrape_configs": [
            {"job_name": "models", "kubernetes_sd_configs": [pods], "relabel_configs": _models()},
            {
                "job_name": "gateway",
                "metrics_path": "/stats/prometheus",
                "kubernetes_sd_configs": [{**pods, "namespaces": {"names": ["envoy-gateway-system"]}}],
                "relabel_configs": [
                    _keep("label_app_kubernetes_io_component", "proxy"),
                    _keep("container_port_number", "19001"),
                    *_place(),
                ],
                "metric_relabel_configs": _routes(),
            },
            {
                "job_name": "sluice",
                "honor_labels": True,  # the namespace of a deployment, not of the operator that tells of it
                "kubernetes_sd_configs": [pods],
                "relabel_configs": _sluice(),
            },
            {
                "job_name": "apiserver",
                "scheme": "https",
                "scrape_interval": "5s",
                "kubernetes_sd_configs": [
                    {
                        "role": "endpointslice",
                        "kubeconfig_file": str(kubeconfig),
                        "namespaces": {"names": ["default"]},
                    }
                ],
                "relabel_configs": [
                    {
                        "source_labels": ["__meta_kubernetes_service_name"],
                        "action": "keep",
                        "regex": "kubernetes",
                    }
                ],
                "tls_config": _client(kubeconfig),
                "metric_relabel_configs": [{"source_labels": ["__name__"], "action": "drop", "regex": ".+_bucket"}],
            },
            {"job_name": "prometheus", "static_configs": [{"targets": ["127.0.0.1:9090"]}], "scrape_interval": "5s"},
        ],
    }
    return yaml.safe_dump(configuration, sort_keys=False)


def _models() -> list[dict[str, Any]]:
    return [
        _keep("label_serving_kserve_io_inferenceservice", ".+"),
        # The model's own port: the agent beside it (9081) hands requests on and would count them twice.
        _keep("container_port_number", "8080"),
        # As the chart's PodMonitor names them: `deployment` and `revision`.
        {"action": "labelmap", "regex": f"{_POD}label_sluice_dev_(.+)", "replacement": "$1"},
        *_place(),
    ]


def _sluice() -> list[dict[str, Any]]:
    return [
        _keep("label_app_kubernetes_io_part_of", "sluice"),
        _keep("annotation_prometheus_io_port", "[0-9]+"),
        _keep("phase", "Running"),
        # A target for each declared port otherwise, all with the same address after the next rule.
        {
            "source_labels": ["__meta_kubernetes_pod_ip", f"{_POD}annotation_prometheus_io_port"],
            "separator": ":",
            "target_label": "__address__",
        },
        {"source_labels": [f"{_POD}label_app_kubernetes_io_component"], "target_label": "component"},
        {
            "source_labels": [f"{_POD}annotation_prometheus_io_path"],
            "regex": "(.+)",
            "target_label": "__metrics_path__",
        },
        *_place(),
    ]


def _routes() -> list[dict[str, Any]]:
    labels = ("route_namespace", "route", "rule", "backend")
    return [
        {
            "source_labels": ["envoy_cluster_name"],
            "regex": regex,
            "target_label": label,
            "replacement": f"${number}",
        }
        for regex in (_ROUTE, _MIRROR)
        for number, label in enumerate(labels, start=1)
    ]


def _place() -> list[dict[str, Any]]:
    return [
        {"source_labels": ["__meta_kubernetes_namespace"], "target_label": "namespace"},
        {"source_labels": [f"{_POD}name"], "target_label": "pod"},
    ]


def _keep(what: str, regex: str) -> dict[str, Any]:
    return {"source_labels": [f"{_POD}{what}"], "action": "keep", "regex": regex}


def _client(kubeconfig: Path) -> dict[str, Any]:
    pki = kubeconfig.parent.parent / "pki"
    stem = pki / f"client-{kubeconfig.stem}"
    return {"ca_file": str(pki / "ca.crt"), "cert_file": f"{stem}.crt", "key_file": f"{stem}.key"}
