"""The files of `deploy/`: read by the programs that they are for, and every command in them understood."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT
from sansface import cli

DEPLOY = ROOT / "deploy"
DOCS = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")


def commands() -> list[str]:
    """Every command of ours, as it is typed or written down."""
    units = [path.read_text(encoding="utf-8") for path in sorted((DEPLOY / "systemd").glob("*.service"))]
    found = re.findall(r"^Exec\w+=/opt/sansface/bin/(sansface .*)$", "\n".join(units), re.MULTILINE)
    found += re.findall(r"^(sansface [a-z]+ +.*?)(?: {2,}#.*)?$", DOCS, re.MULTILINE)
    found += re.findall(r"/opt/sansface/bin/(sansface .*)$", DOCS, re.MULTILINE)
    found += re.findall(r'(sansface backup [^;&"]*)', (DEPLOY / "container/compose.yaml").read_text())
    image = (DEPLOY / "container/Containerfile").read_text()
    starts = re.findall(r"CMD \[(.*)\]", image)
    found += ["sansface " + " ".join(re.findall(r'[^", ]+', words)) for words in starts]
    options = re.findall(r"WORKER_OPTIONS=([^'\n]*)", DOCS + "\n".join(units))
    whole = []
    for command in found:
        command = command.replace("…", "20261122T120000Z-00000000").replace("%i", "0")
        needs = options if "$WORKER_OPTIONS" in command else [""]
        whole += [command.replace("$WORKER_OPTIONS", words.split("   ")[0]) for words in needs]
    return whole


def test_every_command_is_understood() -> None:
    given = commands()
    assert {words.split()[1] for words in given} == {"serve", "worker", "backup", "account", "assets"}
    assert len(given) >= 13
    for words in given:
        verb = cli.parse(shlex.split(words)[1:])
        assert type(verb) is cli.VERBS[words.split()[1]]


def test_days_are_the_same_everywhere() -> None:
    """What the server promises by default is what the timers do."""
    assert {words.split("--days ")[1].split()[0] for words in commands() if "--days" in words} == {"30"}
    serve = cli.parse(["serve"])
    assert getattr(serve, "backup_days", None) == 30.0


def test_every_file_is_spoken_of() -> None:
    texts = DOCS + "".join(path.read_text(encoding="utf-8") for path in DEPLOY.rglob("*") if path.is_file())
    for path in DEPLOY.rglob("*"):
        if path.is_file():
            assert path.name.replace("@.service", "@").removesuffix(".service") in texts, path.name


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_reads_the_units(tmp_path: Path) -> None:
    program = tmp_path / "sansface"
    program.write_text(f"#!{sys.executable}\n")
    program.chmod(0o755)
    units = []
    for path in sorted((DEPLOY / "systemd").glob("sansface-*")):
        unit = tmp_path / path.name.replace("@.", "@0.")
        unit.write_text(path.read_text(encoding="utf-8").replace("/opt/sansface/bin/sansface", str(program)))
        units.append(f"./{unit.name}")
    assert len(units) == 6
    done = subprocess.run(
        ["systemd-analyze", "verify", *units], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    ours = [line for line in done.stderr.splitlines() if "sansface" in line]
    assert (done.returncode, ours) == (0, [])


@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_nginx_reads_its_file(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "fullchain.pem"
    words = ["-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=heads.example.org"]
    subprocess.run(
        ["openssl", "req", "-x509", *words, "-keyout", str(key), "-out", str(certificate)],
        check=True,
        capture_output=True,
    )
    site = (DEPLOY / "proxy/nginx.conf").read_text(encoding="utf-8")
    site = site.replace("/etc/ssl/heads.example.org", str(tmp_path)).replace("/var/log/nginx", str(tmp_path))
    site = re.sub(r"listen (\[::\]:)?(80|443)", r"listen \g<1>1\2", site)
    (tmp_path / "site.conf").write_text(site)
    paths = "".join(
        f"{kind}_temp_path {tmp_path}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    whole = (
        f"pid {tmp_path}/pid; error_log stderr; events {{}} http {{ {paths} include {tmp_path}/site.conf; }}"
    )
    (tmp_path / "nginx.conf").write_text(whole)
    done = subprocess.run(
        ["nginx", "-t", "-e", "stderr", "-c", str(tmp_path / "nginx.conf")],
        capture_output=True,
        text=True,
        env=os.environ | {"LC_ALL": "C"},
    )
    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr.replace('the "user" directive makes sense only', "")


@pytest.mark.skipif(shutil.which("caddy") is None, reason="caddy is not installed")
def test_caddy_reads_its_file(tmp_path: Path) -> None:
    words = ["caddy", "validate", "--adapter", "caddyfile", "--config", str(DEPLOY / "proxy/Caddyfile")]
    done = subprocess.run(words, capture_output=True, text=True, env=os.environ | {"HOME": str(tmp_path)})
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_prometheus_reads_the_rules() -> None:
    done = subprocess.run(
        ["promtool", "check", "rules", str(DEPLOY / "alerts.yml")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
