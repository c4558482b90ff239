"""A deployment as the build context of a container image: everything a data plane needs to answer without us.

::

    Dockerfile   kserve.yaml   README.md
    home/serving/plan.json        the plan, with this endpoint alone and the keys of whoever asked for the image
    home/serving/bundles/<hash>/  the bundles of its arms and of its fallback

The container runs ``arkwright serve`` on that home. It verifies every bundle as always, and speaks what every data
plane speaks, the Open Inference Protocol among it, which is what KServe asks of a custom predictor.

References
----------
KServe, "InferenceService", https://kserve.github.io/website/
"""

from __future__ import annotations

import gzip
import io
import re
import tarfile
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from arkwright.contracts import Arm, Credential, Endpoint, RoutePlan, SavedPlan

HTTP_PORT = 8080
_HOME = "home/serving"

_DOCKERFILE = """\
# Build:  docker build -t {name} .        Run:  docker run -p {port}:{port} {name}
# Name another index or a wheel with --build-arg ARKWRIGHT=...
FROM python:3.11-slim
ARG ARKWRIGHT="arkwright=={version}"
RUN apt-get update && apt-get install --no-install-recommends --yes libgomp1 && rm -rf /var/lib/apt/lists/* \\
    && pip install --no-cache-dir "${{ARKWRIGHT}}" && useradd --uid 10001 --create-home arkwright
COPY --chown=10001 home /srv/arkwright
USER 10001
EXPOSE {port}
HEALTHCHECK CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:{port}/health/ready')"]
CMD ["arkwright", "serve", "--home", "/srv/arkwright", "--host", "0.0.0.0", "--port", "{port}"]
"""

_KSERVE = """\
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: {name}
spec:
  predictor:
    minReplicas: {min_replicas}
    maxReplicas: {max_replicas}
    scaleMetric: cpu
    scaleTarget: {cpu}
    containers:
      - name: kserve-container
        image: {name}  # where you pushed it
        ports:
          - containerPort: {port}
            protocol: TCP
        readinessProbe:
          httpGet: {{path: /health/ready, port: {port}}}
        livenessProbe:
          httpGet: {{path: /health/live, port: {port}}}
        securityContext:
          runAsNonRoot: true
          allowPrivilegeEscalation: false
"""

_README = """\
# {title}

{model} as a container image of its own: versions {versions}.

    docker build -t {name} .
    docker run -p {port}:{port} {name}
    curl -s http://127.0.0.1:{port}{path} -H "Authorization: Bearer $ARKWRIGHT_API_KEY" \\
      -H 'Content-Type: application/json' -d '{{"instances": [{{...}}]}}'

The key is the one the image was asked for with; the image holds its hash only. The image does not follow later
promotions, and its prediction log stays in the container (`/srv/arkwright/serving/log`): mount a volume there to keep
it. `kserve.yaml` runs it under KServe.
"""


def bundle_digests(endpoint: Endpoint) -> tuple[str, ...]:
    """Return the bundles that an endpoint answers with, each once."""
    return tuple(dict.fromkeys(arm.bundle_digest for arm in _arms(endpoint)))


def image_files(
    endpoint: Endpoint,
    credentials: Iterable[Credential],
    bundles: Mapping[str, Mapping[str, bytes]],
    *,
    autoscale: Mapping[str, Any],
    version: str,
) -> dict[str, bytes]:
    """Return the files of the build context by their path.

    Parameters
    ----------
    credentials
        Whose keys the image takes.
    bundles
        For each digest, the bundle's files by their path within it.
    autoscale
        What the deployment says of replicas.
    version
        Arkwright's own.
    """
    name = re.sub(r"[^a-z0-9]+", "-", endpoint.name.lower()).strip("-") or "model"
    facts = {
        "name": name,
        "title": endpoint.name,
        "model": endpoint.model_name,
        "versions": ", ".join(f"{arm.semver} ({arm.name})" for arm in _arms(endpoint)),
        "path": f"/v1/inference/{endpoint.deployment_id}:predict",
        "port": HTTP_PORT,
        "version": version,
        "min_replicas": autoscale.get("min_replicas", 1),
        "max_replicas": autoscale.get("max_replicas", 1),
        "cpu": autoscale.get("target_cpu_utilization_percentage", 60),
    }
    plan = RoutePlan(generation=1, endpoints={endpoint.deployment_id: _moved(endpoint)}, credentials=tuple(credentials))
    files = {
        "Dockerfile": _DOCKERFILE.format_map(facts).encode(),
        "README.md": _README.format_map(facts).encode(),
        "kserve.yaml": _KSERVE.format_map(facts).encode(),
        f"{_HOME}/plan.json": msgspec.json.encode(SavedPlan(epoch="", plan=plan)),
    }
    for digest, members in bundles.items():
        folder = f"{_HOME}/bundles/{digest.removeprefix('sha256:')}"
        files.update({f"{folder}/{path}": content for path, content in members.items()})
    return files


def packed(files: Mapping[str, bytes]) -> bytes:
    """Return files as a ``.tar.gz``; the same files give the same bytes."""
    sink = io.BytesIO()
    with gzip.GzipFile(fileobj=sink, mode="wb", mtime=0) as zipped, tarfile.TarFile(fileobj=zipped, mode="w") as tar:
        for path, content in sorted(files.items()):
            member = tarfile.TarInfo(path)
            member.size = len(content)
            member.mode = 0o644
            tar.addfile(member, io.BytesIO(content))
    return sink.getvalue()


def _arms(endpoint: Endpoint) -> list[Arm]:
    return [*endpoint.arms, *([endpoint.fallback.arm] if endpoint.fallback.arm else [])]


def _moved(endpoint: Endpoint) -> Endpoint:
    """Return the endpoint with its bundles where the image has them, and nothing about where they came from."""
    fallback = endpoint.fallback
    if fallback.arm is not None:
        fallback = msgspec.structs.replace(fallback, arm=_here(fallback.arm))
    return msgspec.structs.replace(
        endpoint, arms=tuple(_here(arm) for arm in endpoint.arms), fallback=fallback, fallback_digests=()
    )


def _here(arm: Arm) -> Arm:
    return msgspec.structs.replace(arm, bundle_uri=f"bundles/{arm.bundle_digest.removeprefix('sha256:')}")
