"""Row g: requests that nobody would send, and mutated bundles through the door; never a 5xx.

schemathesis makes requests of the API's own document, right ones, wrong ones, and sequences of them, and
checks each answer against that document. Then bundles are mutated as in `mutated_bundles`, and sent.

    python benchmarks/serve_fuzz.py [--seconds 600] [--bundles 2000] [--seed 0]
"""

import argparse
import copy
import io
import json
import re
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from pathlib import Path

import httpx
import numpy as np

from bundle_rules import decoded
from mutated_bundles import RAW, REHASHED, judged, repacked, sample_bundle
from sansface.serve.tokens import Scope
from serve_process import Process, process

# It knows the words of the document, and cannot make a bundle; it remembers the ids of uploads that it began,
# and sends them other bytes than those declared.
NO_BUNDLES = """[[operations]]
include-operation-id = "send_bundle"
checks.positive_data_acceptance.enabled = false

[[operations]]
include-operation-id = "send_piece"
checks.positive_data_acceptance.expected-statuses = ["2xx", 401, 403, 404, 409, 413, 422, 429]
"""


def schemathesis(server: Process, seconds: int, seed: int, folder: Path, with_objects: bool) -> str:
    """Run schemathesis in a new folder; its report if it found something, else nothing.

    Args:
        with_objects: ask for objects that there are, and delete none; else for any, in any order.
    """
    folder.mkdir()
    if with_objects:  # a token that nobody can take away, and no deletions
        (token,) = server.tokens(1)
        known, skipped = something(server, token), "^delete_"
        phases = "coverage,fuzzing"
    else:
        (token,) = server.tokens(1, Scope.SUBMIT, Scope.READ, Scope.DELETE)
        known, skipped, phases = {}, "^delete_account$", "coverage,fuzzing,stateful"
    pinned = "".join(f'"path.{name}" = "{value}"\n' for name, value in known.items())
    (folder / "schemathesis.toml").write_text(f"[parameters]\n{pinned}\n{NO_BUNDLES}")
    command = [
        Path(sys.executable).with_name("schemathesis"), "run", f"{server.url}/openapi.json",
        "--max-time", seconds, "--seed", seed, "--phases", phases, "--no-shrink", "--no-color",
        "--header", f"Authorization: Bearer {token}", "--exclude-operation-id-regex", skipped,
        "--suppress-health-check", "all", "--warnings", "off",
    ]  # fmt: skip
    done = subprocess.run([*map(str, command)], cwd=folder, capture_output=True, text=True)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def mutations(count: int, seed: int):
    """(name, bytes, contents that they must have if they are accepted), so many."""
    original, rng = sample_bundle(), np.random.default_rng(seed)
    truth = decoded(original)
    with zipfile.ZipFile(io.BytesIO(original)) as archive:
        arrays = {name: archive.read(name) for name in archive.namelist() if name.startswith("frames/")}
    for number in range(count):
        if number % 2:
            mutate, data = RAW[int(rng.integers(len(RAW)))], bytearray(original)
            mutate(data, rng)
            yield mutate.__name__, bytes(data), truth
        else:
            change, manifest, parts = (
                REHASHED[int(rng.integers(len(REHASHED)))],
                copy.deepcopy(truth["manifest"]),
                dict(arrays),
            )
            change(manifest, parts, rng)
            yield change.__name__, repacked(manifest, parts), None


def through_the_door(server: Process, count: int, seed: int) -> tuple[Counter[str], list[str]]:
    """Send mutated bundles.

    Returns:
        How often each status came, and a line for each wrong one.
    """
    (token,) = server.tokens(1)
    codes: Counter[str] = Counter()
    failures = []
    with httpx.Client(headers={"Authorization": f"Bearer {token}"}, verify=False, timeout=60) as client:
        for name, data, truth in mutations(count, seed):
            answer = client.post(f"{server.url}/api/v1/bundles", content=data)
            verdict, failure = judged(data, truth)
            codes[f"{verdict} by the verifier: {answer.status_code}"] += 1
            if answer.status_code >= 500 or failure:
                failures.append(f"{name}: {answer.status_code} {answer.text[:200]} {failure}")
            if answer.status_code == 422 and not re.fullmatch(r"[^\n]{10,500}\.", answer.json()["detail"]):
                failures.append(f"{name}: not a sentence: {answer.text[:200]}")
            if verdict == "refused" and answer.status_code != 422:
                failures.append(f"{name}: {answer.status_code}, though it breaks a rule")
    return codes, failures


def something(server: Process, token: str) -> dict[str, str]:
    """Ids of a bundle, a cancelled job and an upload, so that requests come past the first check."""
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=f"{server.url}/api/v1", headers=headers, verify=False) as client:
        bundle = client.post("/bundles", content=sample_bundle()).raise_for_status().json()["id"]
        job = client.post("/jobs", json={"bundle": bundle}).raise_for_status().json()["id"]
        client.post(f"/jobs/{job}/cancel").raise_for_status()  # else its events would not end
        upload = client.post("/uploads", json={"size": 1000, "sha256": "0" * 64}).json()["id"]
    return {"job_id": job, "bundle_id": bundle, "upload_id": upload, "name": "mesh.ply"}


def server_errors(server: Process) -> list[str]:
    """Lines of the server's log with a status from 500 on, whoever saw it."""
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    return [json.dumps(line) for line in lines if line.get("status", 0) >= 500]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--bundles", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, process(Path(name) / "data") as server:
        found = []
        for with_objects in (False, True):
            folder = Path(name) / str(with_objects)
            report = schemathesis(server, options.seconds // 2, options.seed, folder, with_objects)
            found += [report] if report else []
        codes, failures = through_the_door(server, options.bundles, options.seed)
        requests = Counter(
            str(line["status"])
            for line in map(json.loads, server.log.read_text().splitlines())
            if line["event"] == "request"
        )
        errors = server_errors(server)
    for text in (*found, *failures, *errors):
        print(text)
    print(f"requests by status: {dict(sorted(requests.items()))}")
    print(f"mutated bundles: {dict(sorted(codes.items()))}")
    print(f"{len(found)} reports of schemathesis, {len(failures)} wrong answers, {len(errors)} server errors")
    return 1 if found or failures or errors else 0


if __name__ == "__main__":
    sys.exit(main())
