"""A real Kubernetes with KServe, Envoy Gateway, Prometheus and MLflow, from package registries only.

For machines without a container engine: control plane, kubelet and controllers are host processes built from
Go modules, containers run in Debian's containerd, images are built by buildah. ``python -m hack.cluster --help``.
"""
