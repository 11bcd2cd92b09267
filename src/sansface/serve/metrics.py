"""Counts and durations for Prometheus, in a registry of their own; nothing of them is about a person."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest


class Metrics:
    """What the server counts. Workers are seen through the queue."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

        def counter(name: str, about: str, *labels: str) -> Counter:
            return Counter(f"sansface_{name}", about, labels, registry=self.registry)

        def gauge(name: str, about: str, *labels: str) -> Gauge:
            return Gauge(f"sansface_{name}", about, labels, registry=self.registry)

        self._requests = counter("requests", "Requests answered", "route", "method", "status")
        self._seconds = Histogram(
            "sansface_request_seconds",
            "From the first byte of a request to the last of its answer",
            ("route", "method"),
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
            registry=self.registry,
        )
        self.accepted = counter("uploads_accepted", "Bundles let in")
        self.refused = counter("uploads_refused", "Bundles refused", "kind")
        self.swept = counter("sweeps", "Runs of the retention sweep", "outcome")
        self._jobs = gauge("jobs", "Jobs by state", "state")
        self._age = gauge("queue_age_seconds", "Since the oldest queued job was submitted; 0 if none is")
        self._uploads = gauge("upload_bytes", "Memory that partial uploads have reserved")
        self._streams = gauge("event_streams", "Open streams of events")

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route, method).observe(seconds)

    def text(self, jobs: Mapping[str, int], queue_age: float, upload_bytes: int, streams: int) -> bytes:
        """All of it, in Prometheus' text format.

        Args:
            jobs: how many by state.
            queue_age: of the oldest queued job, in seconds.
            upload_bytes: reserved for partial uploads.
            streams: of events that are open.
        """
        for state, count in jobs.items():
            self._jobs.labels(state).set(count)
        self._age.set(queue_age)
        self._uploads.set(upload_bytes)
        self._streams.set(streams)
        return generate_latest(self.registry)
