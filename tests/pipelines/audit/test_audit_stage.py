"""The audit on a data set whose every fact was counted by hand, on broken ones, and on what the mirror holds."""

from __future__ import annotations

import html.parser
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.audit.audit import Audit, audit_dataset
from pipelines.audit.page import findings, write_reports
from pipelines.audit.summary import Summary, summarise
from pipelines.core.console import StageError
from pipelines.datasets.catalogue import load_catalogue
from pipelines.pages.slices import flat
from tests.support.mirror import unpack
from tests.support.pictures import save, texture

BUSI = load_catalogue()["busi"]
SIMILARITY = 0.95


def rectangle(*corners: tuple[int, int, int, int], height: int = 40, width: int = 50) -> np.ndarray:
    """A mask of 0 and 255: rows `top` to `bottom`, columns `left` to `right`, for each (top, bottom, left, right)."""
    mask = np.zeros((height, width), dtype=np.uint8)
    for top, bottom, left, right in corners:
        mask[top:bottom, left:right] = 255
    return mask


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Four benign and four malignant images of 2,000 pixels, and one larger.

    benign 1: 10 x 20 lesion. benign 2: the same file and a mask of 10 x 10 inside. benign 3: empty mask. benign 4: two
    separate parts, stored in two files, one at the border. malignant 1: the pixels of benign 1, stored otherwise.
    malignant 2 and 3: one mask for two different pictures, in colour. malignant 4: 80 x 100, in colour.
    """
    folder = tmp_path / "data" / "raw" / "busi" / "Dataset_BUSI_with_GT"

    def place(label: str, number: int, image: np.ndarray, *masks: np.ndarray) -> Path:
        path = folder / label / f"{label} ({number}).png"
        save(path, image)
        for index, mask in enumerate(masks):
            save(path.with_name(f"{path.stem}_mask{f'_{index}' if index else ''}.png"), mask)
        return path

    first = place("benign", 1, texture(1, 40, 50), rectangle((10, 20, 10, 30)))
    second = place("benign", 2, texture(1, 40, 50), rectangle((10, 20, 10, 20)))
    assert first.read_bytes() == second.read_bytes()
    place("benign", 3, texture(3, 40, 50), rectangle())
    place("benign", 4, texture(4, 40, 50), rectangle((0, 5, 5, 9)), rectangle((30, 34, 30, 35)))
    third = place("malignant", 1, texture(1, 40, 50), rectangle((10, 20, 10, 30)))
    Image.open(first).save(third, compress_level=0)
    shared = np.dstack([rectangle((20, 30, 20, 30))] * 3)
    place("malignant", 2, texture(12, 40, 50), shared)
    place("malignant", 3, texture(13, 40, 50), shared)
    place(
        "malignant",
        4,
        np.dstack([texture(n, 80, 100) for n in (14, 15, 16)]),
        rectangle((40, 80, 0, 50), height=80, width=100),
    )
    return tmp_path / "data"


def audited(root: Path) -> Audit:
    return audit_dataset(BUSI, root, SIMILARITY)


@pytest.fixture
def summary(root: Path) -> Summary:
    return summarise(audited(root))


def short(groups: object) -> object:
    """Names without folders: `b1` for benign (1).png."""
    if isinstance(groups, str):
        stem = Path(groups).stem
        return stem[0] + stem[stem.index("(") + 1 : -1]
    return [short(group) for group in groups]  # type: ignore[attr-defined]


def test_what_is_there(summary: Summary) -> None:
    assert summary.images == 8
    assert summary.counts == {"benign": {"all": 4}, "malignant": {"all": 4}}
    assert summary.sizes == {"40 x 50": 7, "80 x 100": 1}
    assert summary.modes == {"L": 7, "RGB": 1}
    assert summary.channels == {"1": 7, "3": 1}
    assert (summary.repeated, summary.unused) == (0, {})
    assert (summary.patients, summary.leaked_test, summary.problems) == (0, None, {})


def test_files_that_no_case_is_made_of_are_listed_by_suffix(root: Path) -> None:
    folder = root / "raw" / "busi" / "Dataset_BUSI_with_GT"
    for name in ("benign/x.heic", "benign/y.HEIC", "malignant/notes.txt", "malignant/README", "benign/more.jpg"):
        (folder / name).write_bytes(b"?")
    for name in ("benign/Thumbs.db", "benign/._x.png", "not used.svg"):  # what systems leave, and what lies elsewhere
        (folder / name).write_bytes(b"?")
    found = summarise(audited(root))
    assert {suffix: [Path(name).name for name in names] for suffix, names in found.unused.items()} == {
        ".heic": ["x.heic", "y.HEIC"],
        "": ["README"],
        ".jpg": ["more.jpg"],
        ".txt": ["notes.txt"],
    }
    (said,) = (text for text in findings(found) if "not used" in text)
    assert "2 .heic (Dataset_BUSI_with_GT/benign/x.heic), 1 without suffix (" in said


def test_grey_images_that_are_stored_in_colour_are_counted(root: Path) -> None:
    folder = root / "raw" / "busi" / "Dataset_BUSI_with_GT" / "benign"
    for number in (3, 4):
        save(folder / f"benign ({number}).png", np.dstack([texture(number, 40, 50)] * 3))
    found = summarise(audited(root))
    assert (found.repeated, found.channels) == (2, {"1": 5, "3": 3})
    assert "2 of 8 images are grey, stored in several equal channels." in " ".join(findings(found))


def test_what_the_masks_are(summary: Summary) -> None:
    assert summary.mask_modes == {"L": 7, "RGB": 2}
    assert summary.mask_values == {"0; 255": 8, "0": 1}
    assert (summary.bright, summary.mostly, summary.void, summary.ignored, summary.absent) == (
        {"255": 8},
        (0, 8),
        [],
        0,
        [],
    )
    assert short(summary.empty) == ["b3"]
    assert short(summary.multi_part) == short(summary.many_files) == ["b4"]
    assert short(summary.at_border) == ["b4", "m4"]
    assert short(summary.shared_masks) == [["m2", "m3"]]
    assert summary.areas["benign"][0] == 0
    assert summary.areas["benign"][-1] == 200 / 2000
    assert summary.areas["benign"][3] == pytest.approx((40 / 2000 + 100 / 2000) / 2)
    assert summary.areas["malignant"] == pytest.approx([0.05, 0.05, 0.05, 0.075, 0.1375, 0.2275, 0.25], abs=1e-6)
    # 200 + 100 + 0 + 40 + 200 + 100 + 100 of 2,000 each, and a quarter
    assert summary.classes["lesion"] == pytest.approx((740 / 2000 + 0.25) / 8)


def test_which_images_are_the_same(summary: Summary) -> None:
    assert short(summary.same_file) == [["b1", "b2"]]
    assert short(summary.same_pixels) == [["b1", "b2", "m1"]]
    assert short(summary.groups) == short(summary.across_labels) == [["b1", "b2", "m1"]]
    assert [(step.pairs, step.images, step.across_labels) for step in summary.ladder] == [(3, 3, 2)] * 6


def test_how_far_the_masks_of_duplicates_agree(summary: Summary) -> None:
    """b1 and b2: 100 of 200; b1 and m1: the same; b2 and m1: 100 of 200."""
    assert summary.agreement
    assert (summary.agreement.pairs, summary.agreement.equal) == (3, 1)
    assert summary.agreement.median_iou == pytest.approx(0.5, abs=0.02)
    assert summary.agreement.mean_iou == pytest.approx(2 / 3, abs=0.02)
    assert summary.agreement.median_dice == pytest.approx(2 / 3, abs=0.02)


def test_findings_are_sentences_the_gravest_first(summary: Summary) -> None:
    texts = findings(summary)
    assert (
        texts[0]
        == "1 group of near duplicates has several labels: benign (1).png = benign (2).png = malignant (1).png."
    )
    assert "1 mask without any annotated pixel." in texts
    assert "2 masks that touch the border of the image." in texts


class Page(html.parser.HTMLParser):
    """Pictures and addresses of a page, and whether its elements are closed in order."""

    VOID = ("meta", "img", "link", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.pictures: list[dict[str, str | None]] = []
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "img":
            self.pictures.append(found)
        self.addresses += [value for key, value in attrs if key in ("src", "href") and value]
        self.ids += [found["id"] or ""] if "id" in found else []

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_needs_no_network_and_shows_every_group(root: Path, tmp_path: Path) -> None:
    audit = audited(root)
    write_reports(audit, tmp_path / "reports")
    page = Page((tmp_path / "reports" / "busi.html").read_text())
    assert page.open == []
    assert all(address.startswith(("data:image/", "#")) for address in page.addresses)
    assert {address[1:] for address in page.addresses if address.startswith("#")} <= set(page.ids)
    assert {"across-labels", "shared-masks", "sample", "areas", "empty", "parts"} <= set(page.ids)
    assert len([picture for picture in page.pictures if "benign (1)" in (picture["alt"] or "")]) >= 3
    assert all(picture["alt"] for picture in page.pictures)
    content = json.loads((tmp_path / "reports" / "busi.json").read_text())
    assert content["images"] == 8
    assert "| benign | 4 |" in (tmp_path / "reports" / "busi.md").read_text()


def test_a_browser_shows_all_pictures(root: Path, tmp_path: Path) -> None:
    browser = next((path for name in ("chromium", "google-chrome") if (path := shutil.which(name))), None)
    if browser is None:
        pytest.skip("No Chromium on this machine.")
    write_reports(audited(root), tmp_path / "reports")
    page = tmp_path / "reports" / "busi.html"
    script = "addEventListener('load', () => document.title = [...document.images].every(i => i.naturalWidth > 0))"
    page.write_text(
        page.read_text().replace(' loading="lazy"', "").replace("</body>", f"<script>{script}</script></body>")
    )
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    shown = subprocess.run([*command, "--dump-dom", page.as_uri()], capture_output=True, text=True, check=True)
    assert "<title>true</title>" in shown.stdout


def test_the_same_data_gives_the_same_bytes(root: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_reports(audited(root), tmp_path / name)
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert files == ["busi.html", "busi.json", "busi.md"]
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def unreadable(image: Path, mask: Path) -> str:
    image.write_bytes(image.read_bytes()[:200])
    return image.name


def other_size(image: Path, mask: Path) -> str:
    save(mask, rectangle(height=20, width=30))
    return mask.name


def of_three_values(image: Path, mask: Path) -> str:
    save(mask, rectangle((1, 5, 1, 5)) // 2 + rectangle((10, 20, 10, 20)))
    return mask.name


@pytest.mark.parametrize("breakage", [unreadable, other_size, of_three_values])
def test_a_case_that_cannot_be_used_is_listed_with_the_others(
    root: Path, breakage: Callable[[Path, Path], str]
) -> None:
    folder = root / "raw" / "busi" / "Dataset_BUSI_with_GT" / "malignant"
    culprits = [breakage(folder / f"malignant ({n}).png", folder / f"malignant ({n})_mask.png") for n in (2, 4)]
    found = summarise(audited(root))
    assert found.images == 6
    assert short(found.problems) == ["m2", "m4"]
    for culprit, message in zip(culprits, found.problems.values(), strict=True):
        assert culprit in message


@pytest.mark.slow
def test_the_command_writes_the_page_before_it_fails(workplace: Path, run_stage_cli: Callable) -> None:
    run = run_stage_cli("audit", "--dataset", "busi")
    assert run.returncode == 0, run.stderr
    assert "0 of 22 images show the same picture" in run.stdout
    record = workplace / "data" / "audit" / "busi.json"
    before = record.read_bytes()
    culprit = workplace / "data" / "raw" / "busi" / "Dataset_BUSI_with_GT" / "benign" / "benign (3)_mask.png"
    save(culprit, rectangle())
    run = run_stage_cli("audit", "--dataset", "busi")
    assert run.returncode == 1
    assert run.stderr.startswith("error: busi: 1 of 22 cases cannot be used; reports/data/busi.html lists them.")
    assert "benign (3)_mask.png" in run.stderr
    assert "Traceback" not in run.stderr
    assert "benign (3)_mask.png" in (workplace / "reports" / "data" / "busi.html").read_text()
    assert record.read_bytes() == before


def test_nothing_to_audit_is_an_error(root: Path) -> None:
    shutil.rmtree(root / "raw" / "busi")
    with pytest.raises(StageError, match=r"no such folder. Fetch it with"):
        audited(root)


def test_volumes_and_modalities_become_pictures() -> None:
    volume = np.arange(3 * 4 * 5 * 2, dtype=np.uint8).reshape(3, 4, 5, 2)
    np.testing.assert_array_equal(flat(volume, 3), volume[1, :, :, 0])
    np.testing.assert_array_equal(flat(volume[..., 0], 3), volume[1, :, :, 0])
    colour = np.zeros((4, 5, 3), dtype=np.uint8)
    assert flat(colour, 2).shape == (4, 5, 3)
    assert flat(volume[0], 2).shape == (4, 5)


def published(tmp_path: Path, dataset: str, archive: str) -> Summary:
    """The audit of a data set of the mirror."""
    unpack(archive, tmp_path / "raw" / dataset)
    return summarise(audit_dataset(load_catalogue()[dataset], tmp_path, SIMILARITY))


@pytest.mark.slow
def test_brain_slices_repeat_between_the_publishers_training_and_testing(tmp_path: Path) -> None:
    """Counted on the mirror's 1,500 images; sampled pairs from 0.98 on are one picture."""
    found = published(tmp_path, "brain_tumor_mri", "brain-tumor-mri-dataset.zip")
    across = {step.similarity: step.across_splits for step in found.ladder}
    assert across == pytest.approx({0.95: 146, 0.96: 122, 0.97: 111, 0.98: 90, 0.99: 69, 0.999: 47}, abs=3)
    assert found.across_labels == []
    assert found.leaked_test == pytest.approx(80, abs=2)
    assert sum(map(len, found.same_file)) == 49


def test_an_image_of_crack_forest_has_the_mask_of_another_one(tmp_path: Path) -> None:
    found = published(tmp_path, "crack_forest", "CrackForest-dataset.zip")
    assert [[Path(name).name for name in names] for names in found.shared_masks] == [["042.jpg", "065.jpg"]]
    assert (found.images, found.groups, found.empty) == (118, [], [])
