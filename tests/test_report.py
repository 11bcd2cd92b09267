"""The report embeds what it says, nothing else, and asks nothing of a network."""

import base64
import html.parser
import json
from pathlib import Path

import numpy as np
import pytest

from sansface.charts import curves, panels
from sansface.errors import SansfaceError
from sansface.evaluate.png import png_bytes
from sansface.report import mesh_counts, read_metrics, write_report


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An output folder as a reconstruction leaves it, made up."""
    rng = np.random.default_rng(0)
    out = tmp_path / "head <b>one</b>"
    (out / "pictures").mkdir(parents=True)
    config = {
        "preset": "fast",
        "seed": 0,
        "note": "<script>alert('x')</script> & \"quotes\"",
        "unprotected": False,
        "stages": {
            "neutral": {"steps": 40, "lambda_rgb": 1.0},
            "protected": {"steps": 60, "lambda_grad": 1.0},
        },
        "received": {
            "sensitive": 20,
            "neutral": 10,
            "resolution": 64,
            "operator": {"name": "sobel"},
            "bits": 8,
        },
        "seconds": {"stage 1": 40.0, "stage 2": 70.25, "mesh": 9.0, "total": 119.25},
        "versions": {"sansface": "0.1.0", "torch": "2.13.0"},
    }
    (out / "config.json").write_text(json.dumps(config), encoding="utf-8")
    rows = []
    for stage, steps in (("neutral", 40), ("protected", 60)):
        for step in range(steps):
            noise = float(np.exp(0.2 * rng.standard_normal()))
            row = {
                "step": step,
                "stage": stage,
                "seconds": 1.0 * len(rows),
                "eikonal": 0.1 * noise / (1 + step),
            }
            row["rgb" if stage == "neutral" else "gradient"] = 0.3 * noise * 0.95**step
            rows.append(row | {"beta": 0.1 * 0.96 ** len(rows)})
    (out / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (out / "score.json").write_text(
        json.dumps({"score": 0.0058, "chamfer": 0.0123, "f_scores": [{"threshold": 0.005, "f": 0.625}]}),
        encoding="utf-8",
    )
    (out / "mesh.ply").write_bytes(
        b"ply\nformat binary_little_endian 1.0\nelement vertex 1234\nproperty float x\nelement face 2468\n"
        b"property list uchar int vertex_indices\nend_header\n"
    )
    names = ["protected", *(f"preview_{k}" for k in (1, 2, 10)), "mesh_left"]
    names += [f"{kind}_{view}" for kind in ("mesh", "truth", "error") for view in ("front", "three_quarter")]
    for name in names:
        size = (96, 480, 3) if name == "protected" else (96, 96, 3)
        (out / "pictures" / f"{name}.png").write_bytes(png_bytes(rng.integers(0, 255, size).astype(np.uint8)))
    return out


class Page(html.parser.HTMLParser):
    """Collects every tag with its attributes, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text.append(data)


def test_every_known_picture_is_embedded_and_no_other_file(folder):
    stray = png_bytes(np.full((8, 8, 3), 7, np.uint8))
    (folder / "pictures" / "IMG_2041.png").write_bytes(stray)
    page = write_report(folder).read_text(encoding="utf-8")
    known = {path for path in (folder / "pictures").glob("*.png") if path.stem != "IMG_2041"}
    sources = [attributes["src"] for tag, attributes in Page(page).tags if tag == "img"]
    embedded = {base64.b64decode((source or "").removeprefix("data:image/png;base64,")) for source in sources}
    assert embedded == {path.read_bytes() for path in known}
    assert "IMG_2041" not in page


def test_nothing_is_fetched_or_run(folder):
    page = write_report(folder).read_text(encoding="utf-8")
    parsed = Page(page)
    for tag, attributes in parsed.tags:
        assert tag not in {"script", "link", "iframe", "object", "a", "form"}
        assert all(
            (attributes.get(name) or "data:").startswith("data:")
            for name in ("src", "href", "srcset", "action")
        )
    assert "http://" not in page
    assert "https://" not in page
    assert "url(" not in page
    assert "@import" not in page
    policy = [
        a["content"]
        for t, a in parsed.tags
        if t == "meta" and a.get("http-equiv") == "Content-Security-Policy"
    ]
    assert len(policy) == 1
    assert "default-src 'none'; img-src data:" in (policy[0] or "")


def test_text_from_the_files_is_escaped_and_all_there(folder):
    page = write_report(folder).read_text(encoding="utf-8")
    text = " ".join(Page(page).text)
    assert "<script>alert('x')</script> & \"quotes\"" in text
    for said in (
        "5.80",
        "score in 10⁻³ R",
        "119 s",
        "1,234",
        "2,468 faces",
        "lambda_grad",
        "2.13.0",
        "sobel",
        "chamfer",
    ):
        assert said in text
    previews = [a["alt"] for tag, a in Page(page).tags if tag == "img" and (a["alt"] or "").isdigit()]
    assert previews == ["1", "2", "10"]


def test_banner_only_on_an_unprotected_run(folder):
    assert "UNPROTECTED" not in write_report(folder).read_text(encoding="utf-8")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(config | {"unprotected": True}), encoding="utf-8")
    page = write_report(folder).read_text(encoding="utf-8")
    assert "UNPROTECTED" in page
    # what a run on photographs saw is not shown, whatever lies in the folder
    assert base64.b64encode((folder / "pictures" / "protected.png").read_bytes()).decode() not in page


def test_report_without_score_metrics_and_pictures(folder):
    for name in ("score.json", "metrics.jsonl"):
        (folder / name).unlink()
    for path in (folder / "pictures").iterdir():
        path.unlink()
    page = write_report(folder).read_text(encoding="utf-8")
    assert "<img" not in page
    assert "No picture of it was kept" in page


def test_what_is_missing_or_wrong_is_named(folder):
    (folder / "pictures" / "preview_1.png").write_bytes(b"GIF89a")
    with pytest.raises(SansfaceError, match=r"preview_1\.png is no PNG"):
        write_report(folder)
    (folder / "mesh.ply").write_bytes(b"solid")
    with pytest.raises(SansfaceError, match=r"mesh\.ply is no PLY"):
        mesh_counts(folder / "mesh.ply")
    (folder / "mesh.ply").unlink()
    with pytest.raises(SansfaceError, match=r"mesh\.ply cannot be read"):
        write_report(folder)
    (folder / "config.json").unlink()
    with pytest.raises(SansfaceError, match=r"config\.json"):
        write_report(folder)


def test_metrics_drop_an_unfinished_last_line_and_refuse_a_broken_one(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n{"step": 2}\n{"st', encoding="utf-8")
    assert read_metrics(path) == [{"step": 1}, {"step": 2}]
    path.write_text('{"step": 1}\noops\n{"step": 2}\n', encoding="utf-8")
    with pytest.raises(SansfaceError, match="line 2"):
        read_metrics(path)


def test_stages_that_count_from_zero_are_drawn_one_behind_the_other():
    rows = [{"step": k, "stage": s, "seconds": 0.0, "loss": 1.0} for s in ("one", "two") for k in range(10)]
    first, second = curves(rows)["loss"]
    assert first.stage == "one"
    assert second.steps.min() >= first.steps.max()
    counted_through = [{"step": k, "stage": "one" if k < 10 else "two", "loss": 1.0} for k in range(20)]
    assert np.concatenate([c.steps for c in curves(counted_through)["loss"]]).tolist() == list(range(20))


def test_an_exponential_is_a_straight_line_and_a_negative_value_makes_the_axis_linear():
    def drawn(values: np.ndarray) -> np.ndarray:
        rows = [{"step": k, "stage": "s", "loss": float(v)} for k, v in enumerate(values)]
        line = (
            panels(curves(rows))["loss"].split('<polyline class="raw')[1].split('points="')[1].split('"')[0]
        )
        return np.array([[float(n) for n in point.split(",")] for point in line.split()])

    for values in (np.exp(-0.1 * np.arange(50)), np.linspace(1, -1, 50)):
        points = drawn(values)
        assert np.abs(np.diff(points[:, 1], 2)).max() < 0.21  # drawn to a tenth
        assert points[0, 1] < points[-1, 1]  # SVG's y runs downwards
    for values in (np.zeros(3), np.ones(1), np.full(5, 1e-9)):
        assert np.isfinite(drawn(values)).all()
