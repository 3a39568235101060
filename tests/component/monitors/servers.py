"""Pods of model servers, as Prometheus sees them: metrics declared as each server declares its own.

KServe's Python server, MLServer and vLLM export by prometheus_client, which is what is used here; Triton by a library
in C++ that adds no ``_total``. Names, labels and buckets are those of the servers' sources, which the gauges cite.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary, generate_latest

MODEL = "scorer"


@dataclass(frozen=True, kw_only=True)
class Load:
    """Some requests, all alike, and what they did to the server. Times are in seconds."""

    requests: int
    failures: int = 0
    cancelled: int = 0
    seconds: float = 0.02
    queued: float = 0.002
    in_work: int = 1
    """How many requests are with the server when one comes."""
    cut_off: int = 0
    tokens: int = 150
    token_seconds: float = 0.03


class Pod(ABC):
    """One pod. ``busy`` is how full it is, from 0 to 1: of its CPU, or of its cache."""

    def __init__(self, busy: float) -> None:
        self.busy = busy
        self.registry = CollectorRegistry()

    @abstractmethod
    def serve(self, load: Load) -> None:
        """Count some requests."""

    def exposition(self) -> str:
        """What a scrape gets."""
        return generate_latest(self.registry).decode()


class KServePod(Pod):
    """KServe's Python server: python/kserve/kserve/metrics.py, and prometheus_client's own figures of the process."""

    def __init__(self, busy: float) -> None:
        super().__init__(busy)
        labels, registry = ["model_name"], self.registry
        self._predict = Histogram("request_predict_seconds", "predict request latency", labels, registry=registry)
        self._cpu = Counter("process_cpu_seconds", "Total user and system CPU time spent.", registry=registry)
        self._seen = time.monotonic()

    def serve(self, load: Load) -> None:
        """Count some requests."""
        for _ in range(load.requests):
            self._predict.labels(MODEL).observe(load.seconds)

    def exposition(self) -> str:
        """What a scrape gets."""
        now = time.monotonic()
        self._cpu.inc(self.busy * (now - self._seen))
        self._seen = now
        return super().exposition()


class MLServerPod(Pod):
    """MLServer: mlserver/handlers/dataplane.py, mlserver/parallel/dispatcher.py and starlette_exporter."""

    def __init__(self, busy: float) -> None:
        super().__init__(busy)
        labels, registry = ["model", "version"], self.registry
        self._success = Counter("model_infer_request_success", "success count", labels, registry=registry)
        self._failure = Counter("model_infer_request_failure", "failure count", labels, registry=registry)
        self._duration = Summary("model_infer_request_duration", "duration", labels, registry=registry)
        self._queue = Histogram("parallel_request_queue", "request queue size for workers", registry=registry)
        rest = ["method", "path", "status_code", "app_name"]
        name = "rest_server_request_duration_seconds"
        self._rest = Histogram(name, "HTTP request duration, in seconds", rest, registry=registry)

    def serve(self, load: Load) -> None:
        """Count some requests, by REST and gRPC in turn. Its readiness is asked, too, and soon answered."""
        for number in range(load.requests):
            model = (MODEL, ("None", "")[number % 2])  # MLServer's words for no version, by REST and by gRPC
            failed = number < load.failures
            self._duration.labels(*model).observe(load.seconds)
            self._failure.labels(*model).inc(failed)
            if not failed:
                self._success.labels(*model).inc()
            self._queue.observe(load.in_work)
            status = "500" if failed else "200"
            self._rest.labels("POST", "/v2/models/{model_name}/infer", status, "mlserver").observe(load.seconds)
            self._rest.labels("GET", "/v2/models/{model_name}/ready", "200", "mlserver").observe(0.001)


class TritonPod(Pod):
    """Triton: docs/user_guide/metrics.md. Before 24.07, failures have no reason. Counters begin at 0 with the model."""

    def __init__(self, busy: float, *, reasons: bool = True) -> None:
        super().__init__(busy)
        self._reasons = reasons
        self._success = 0
        self._failures = dict.fromkeys(("REJECTED", "CANCELED", "BACKEND", "OTHER"), 0)
        self._request_us = self._queue_us = 0.0

    def serve(self, load: Load) -> None:
        """Count some requests. Times are those of successes."""
        successes = load.requests - load.failures
        self._success += successes
        self._failures["BACKEND"] += load.failures
        self._failures["CANCELED"] += load.cancelled
        self._request_us += successes * load.seconds * 1e6
        self._queue_us += successes * load.queued * 1e6

    def exposition(self) -> str:
        """What a scrape gets."""
        model = f'model="{MODEL}",version="1"'
        lines = [f"nv_inference_request_success{{{model}}} {self._success}"]
        if self._reasons:
            failures = [(f'{model},reason="{reason}"', count) for reason, count in self._failures.items()]
        else:
            failures = [(model, sum(self._failures.values()))]
        lines += [f"nv_inference_request_failure{{{labels}}} {count}" for labels, count in failures]
        lines.append(f"nv_inference_request_duration_us{{{model}}} {self._request_us:.0f}")
        lines.append(f"nv_inference_queue_duration_us{{{model}}} {self._queue_us:.0f}")
        lines.append(f'nv_gpu_utilization{{gpu_uuid="GPU-0"}} {self.busy}')
        return "\n".join(lines) + "\n"


LATENCY = (0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0, 480.0)
FIRST = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0)
TOKEN = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0)
TOKENS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
ENDS = ("stop", "length", "abort", "error", "repetition")


class VLLMPod(Pod):
    """vLLM: vllm/v1/metrics/loggers.py. Counters begin at 0 with the engine; here, two engines share the requests."""

    def __init__(self, busy: float) -> None:
        super().__init__(busy)
        labels, registry = ["model_name", "engine"], self.registry

        def histogram(name: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(f"vllm:{name}", name, labels, buckets=buckets, registry=registry)

        self._cache = Gauge("vllm:kv_cache_usage_perc", "KV-cache usage.", labels, registry=registry)
        self._ended = Counter("vllm:request_success", "Count", [*labels, "finished_reason"], registry=registry)
        self._first = histogram("time_to_first_token_seconds", FIRST)
        self._token = histogram("request_time_per_output_token_seconds", TOKEN)
        self._queue = histogram("request_queue_time_seconds", LATENCY)
        self._tokens = histogram("request_generation_tokens", TOKENS)
        for engine in ("0", "1"):
            self._cache.labels(MODEL, engine).set(busy if engine == "0" else 0.0)
            for histogram_ in (self._first, self._token, self._queue, self._tokens):
                histogram_.labels(MODEL, engine)
            for end in ENDS:
                self._ended.labels(MODEL, engine, end)

    def serve(self, load: Load) -> None:
        """Count some requests; clients give up ``cancelled`` more."""
        for number in range(load.requests):
            engine = (MODEL, str(number % 2))
            self._first.labels(*engine).observe(load.queued + load.seconds)
            self._token.labels(*engine).observe(load.token_seconds)
            self._queue.labels(*engine).observe(load.queued)
            self._tokens.labels(*engine).observe(load.tokens)
            self._ended.labels(*engine, "length" if number < load.cut_off else "stop").inc()
        self._ended.labels(MODEL, "0", "abort").inc(load.cancelled)
