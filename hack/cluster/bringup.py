"""Bring-up: from whatever is there to a whole cluster. Everything already as it should be is left alone."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
import time

from hack.cluster import addons, binaries, components, environment, images, imagestore, layout, node, packages
from hack.cluster.components import Component, catalogue
from hack.cluster.locks import locked
from hack.cluster.processes import Processes, wait
from hack.cluster.progress import say, task

_FIRST = ("pause", "envoy")
"""Images that pods need before the others, built and imported first."""


def up() -> None:
    """Start the cluster, or what is missing of it, and wait until it can serve models.

    Raises:
        RuntimeError: a part did not come up; the message says which, with the end of its log.
    """
    started = time.monotonic()
    layout.require_root()
    prepare()
    with locked("cluster"):
        _refuse_taken_ports()
        _start()
    address = addons.gateway_address()
    say(f"Cluster is up after {time.monotonic() - started:.0f} s; models are served at http://{address}")
    say(f"  export KUBECONFIG={layout.KUBECONFIG}")


def prepare() -> None:
    """Everything that takes long once and is kept: packages, programs, Python environments."""
    packages.ensure()
    early = threading.Thread(target=_build_early, daemon=True)
    if binaries.missing():
        early.start()
    binaries.build()
    environment.ensure("demo")
    if early.ident is not None:
        early.join()


def _build_early() -> None:
    """Images that hold no Go program, built while those are: downloads and compilers wait for different things."""
    with locked("images"), contextlib.suppress(RuntimeError):  # tried again, and said, when they are delivered
        for image in images.IMAGES:
            if image.name != "kserve-agent":
                images.build(image)


def deliver(names: tuple[str, ...] = ()) -> list[str]:
    """Build and import images; returns the names of those that are new to containerd."""
    with locked("images"):
        new = [image.name for image in images.named(names) if imagestore.deliver(image)]
        if new:
            images.tidy()
        return new


class _Delivery(threading.Thread):
    """Images built and imported while the control plane starts."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.first = threading.Event()
        self._error: Exception | None = None

    def run(self) -> None:
        try:
            deliver(_FIRST)
            self.first.set()
            deliver(tuple(image.name for image in images.IMAGES if image.name not in _FIRST))
        except Exception as error:  # noqa: BLE001 - handed to the thread that waits
            self._error = error
        finally:
            self.first.set()

    def wait_first(self) -> None:
        """Wait for the images that the first pods need."""
        self.first.wait()
        self._raise()

    def finish(self) -> None:
        """Wait for all."""
        self.join()
        self._raise()

    def _raise(self) -> None:
        if self._error is not None:
            raise RuntimeError(f"An image is missing: {self._error}") from self._error


def _start() -> None:
    node.prepare()
    _drop_stale_leases()
    plane = layout.control_plane()
    processes = plane.processes
    containerd = components.containerd()  # needs nothing of the control plane, and images wait for it
    containerd.start(processes)
    containerd.await_ready(processes)
    delivery = _Delivery()
    delivery.start()
    with task("etcd and kube-apiserver", "5 s"):
        plane.start()
    parts = catalogue()
    with task("Node, name service, Prometheus, MLflow and the records store", "10 s"):
        addons.base()
        early = [part for name, part in parts.items() if name not in ("kserve", "envoy-gateway")]
        _start_all(early, processes)
    with task("Custom resources", "10 s, once"):
        addons.definitions()
    with task("KServe and Envoy Gateway", "5 s"):
        addons.gateway_certificates()
        late = [parts["kserve"], parts["envoy-gateway"]]
        _start_all(late, processes)
        _await_all(late, processes)
        addons.webhooks()
        addons.runtime()
    with task("Every process answers", "10 s"):
        _await_all(early, processes)
    with task("Gateway", "5 s once its image is there"):
        delivery.wait_first()
        addons.gateway()
        if not wait(addons.node_ready, 300, every=0.3):
            raise RuntimeError(f"The node does not become ready; see {processes.log('kubelet')}")
        if not wait(lambda: addons.gateway_address() is not None, 300, every=0.5):
            raise RuntimeError("The Gateway is not programmed; see: python -m hack.cluster logs envoy-gateway")
        addons.proxy_ready()
    delivery.finish()


def _start_all(parts: list[Component], processes: Processes) -> None:
    for part in parts:
        part.start(processes)


def _await_all(parts: list[Component], processes: Processes) -> None:
    for part in parts:
        part.await_ready(processes)


def _drop_stale_leases() -> None:
    """After a crash of the machine no pod runs, but its address would stay taken for ever."""
    if node.LEASES.exists() and not node.shims():
        for lease in node.LEASES.rglob("*"):
            if lease.is_file():
                lease.unlink()


def _refuse_taken_ports() -> None:
    """End with the names of ports that somebody else listens on."""
    processes = layout.control_plane().processes
    taken = [
        f"{port} ({name})"
        for name, ports in layout.TAKEN.items()
        if not processes.alive(name)
        for port in ports
        if _listens(port)
    ]
    if taken:
        sys.exit(f"These ports of the host are taken by something else: {', '.join(taken)}. Stop it, then try again.")


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def start(name: str) -> None:
    """Start one process that was stopped."""
    plane = layout.control_plane()
    if name in ("etcd", "kube-apiserver"):
        plane.start()
        return
    part = catalogue()[name]
    part.start(plane.processes)
    part.await_ready(plane.processes)


def stop(name: str) -> None:
    """Stop one process; the rest of the cluster must cope."""
    layout.control_plane().processes.stop(name)


def known() -> list[str]:
    """Names of all processes."""
    return ["etcd", "kube-apiserver", *catalogue()]


def follow(name: str, lines: int) -> None:
    """Show the end of a log and what is added to it, until interrupted."""
    log = layout.control_plane().processes.log(name)
    os.execvp("tail", ["tail", f"--lines={lines}", "--follow=name", "--retry", str(log)])
