"""GET /cases: the report, the image and the public page of a prior case."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from litestar.testing import TestClient

from api.pipeline.decoding.process import LARGE, ORDINARY
from api.pipeline.decoding.processes import DecodingProcesses
from api.schemas.cases import public_image_url, public_url
from db.errors import UserError
from db.index.case import case_key, split_case_key
from db.index.store import Case
from indexer.images.reader import read_radiograph
from tests.support.dicoms import slow_dicom, write_dicom
from tests.support.radiographs import draw_radiograph
from tests.support.service.clients import memory_mb
from tests.support.service.services import FakeRetriever, a_case, a_digest, a_png, an_app, serving


class NoRoot(FakeRetriever):
    """An index that records no folder of its images."""

    @property
    def index(self) -> Any:
        index = super().index
        index.manifest.image_root = None
        return index


def a_client(tmp_path: Path, *cases: Case) -> TestClient[Any]:
    return TestClient(an_app(tmp_path, FakeRetriever(list(cases))), base_url="http://127.0.0.1")


def test_a_case_is_read_by_source_and_study(tmp_path: Path) -> None:
    with a_client(tmp_path, a_case(1), a_case(2, source="openi", study_id="7")) as client:
        case = client.get("/cases/openi:7").json()
        assert case["case"] == "openi:7"
        assert case["impression"] == "A drawing without disease."
        assert case["sentences"][0]["text"] == "Lungs drawn clear."
        assert case["images"] == [
            {
                "number": 1,
                "view_position": "PA",
                "width": 420,
                "height": 512,
                "has_file": False,
                "public_url": None,
            }
        ]
        answer = client.get("/cases/openi:8")
        assert answer.json()["detail"] == "the index holds no study 8 of source openi"


def test_any_study_id_has_an_address(tmp_path: Path) -> None:
    study_ids = ["a/b", "ü ö", "50%", "a:b", "..", "%2F", "a?b#c"]
    retriever = FakeRetriever([a_case(n, study_id=s) for n, s in enumerate(study_ids)])
    with serving(an_app(tmp_path, retriever)) as address:
        for study_id in study_ids:
            key = case_key("drawn", study_id)
            assert split_case_key(key) == ("drawn", study_id)
            answer = httpx.get(f"{address}/cases/{quote(key, safe='')}")
            assert answer.status_code == 200, study_id
            assert (answer.json()["study_id"], answer.json()["case"]) == (study_id, key)


@pytest.mark.parametrize("key", ["", "openi", ":1", "openi:"])
def test_what_is_no_key_is_refused(key: str) -> None:
    with pytest.raises(UserError, match="source:study_id"):
        split_case_key(key)


def test_the_image_of_a_case_is_sent_as_png(tmp_path: Path) -> None:
    image = tmp_path / "image.png"
    image.write_bytes(a_png(4))
    with a_client(tmp_path, a_case(1, images=[None, image])) as client:
        answer = client.get("/cases/drawn:s1/images/2")
        assert answer.headers["content-type"] == "image/png"
        assert a_digest(answer.content) == a_digest(a_png(4))


def test_a_squashed_image_is_shown_in_its_own_proportions(tmp_path: Path) -> None:
    image = tmp_path / "image.png"
    image.write_bytes(a_png(4, size=(256, 256)))
    with a_client(tmp_path, a_case(1, images=[image])) as client:
        height, width = read_radiograph(client.get("/cases/drawn:s1/images/1").content).pixels.shape
    assert (height, width) == (256, round(256 * 420 / 512))


def test_a_large_image_is_made_smaller_for_the_page(tmp_path: Path) -> None:
    image = tmp_path / "image.png"
    image.write_bytes(a_png(4, size=(2048, 1680)))
    with a_client(tmp_path, a_case(1, images=[image])) as client:
        pixels = read_radiograph(client.get("/cases/drawn:s1/images/1").content).pixels
    assert max(pixels.shape) == 1600


def test_a_dicom_image_comes_with_the_size_of_its_pixels_and_its_windows(tmp_path: Path) -> None:
    image = write_dicom(
        tmp_path / "image.dcm",
        draw_radiograph(4, size=(2048, 1680)),
        ImagerPixelSpacing=[0.2, 0.2],
        WindowCenter=[128, 200],
        WindowWidth=[256, 40],
        WindowCenterWidthExplanation=["NORMAL", "HARDER"],
    )
    with a_client(tmp_path, a_case(1, images=[image])) as client:
        shown = client.get("/cases/drawn:s1/images/1")
        plain, harder, wrong = (
            client.post("/images", files={"image": image.read_bytes()}, data=window)
            for window in ({}, {"window": "2"}, {"window": "3"})
        )
    display = {
        "pixel_mm": pytest.approx(0.256, rel=0.001),
        "plane": "detector",
        "windows": [
            {"name": "NORMAL", "centre": 128.0, "width": 256.0},
            {"name": "HARDER", "centre": 200.0, "width": 40.0},
        ],
    }
    for answer in (shown, plain, harder):
        assert json.loads(answer.headers["image-display"]) == display
    assert shown.content == plain.content != harder.content
    assert wrong.status_code == 422 and "there is no window 3" in wrong.json()["detail"]


def test_an_image_that_takes_too_long_does_not_hold_the_service(tmp_path: Path) -> None:
    image = tmp_path / "slow.dcm"
    image.write_bytes(slow_dicom(tmp_path))
    limits, large = (replace(one, seconds=1) for one in (ORDINARY, LARGE))
    with DecodingProcesses(count=1, limits=limits, large=large) as decoding:
        app: Any = an_app(tmp_path, FakeRetriever([a_case(1, images=[image])]), decoding=decoding)
        with TestClient(app, base_url="http://127.0.0.1") as client:
            answer = client.get("/cases/drawn:s1/images/1")
            assert answer.status_code == 413 and "more than 1 s" in answer.json()["detail"]


def test_impossible_proportions_of_an_image_are_refused(tmp_path: Path) -> None:
    image = tmp_path / "image.png"
    image.write_bytes(a_png(1, size=(32, 60_000)))
    case = a_case(1, images=[image])
    square = replace(case, images=(replace(case.images[0], width=1, height=1),))
    before = memory_mb()
    with a_client(tmp_path, square) as client:
        assert client.get("/cases/drawn:s1/images/1").status_code == 413
    assert memory_mb() - before < 500


@pytest.mark.parametrize("number", ["0", "-1", "2", "99999999999999999999"])
def test_an_image_that_the_case_lacks_is_not_found(tmp_path: Path, number: str) -> None:
    with a_client(tmp_path, a_case(1)) as client:
        assert client.get(f"/cases/drawn:s1/images/{number}").status_code == 404


def test_a_moved_an_unknown_and_a_relative_file_are_not_found(tmp_path: Path) -> None:
    with a_client(
        tmp_path, a_case(1, images=[None, tmp_path / "moved.png", Path("pyproject.toml")])
    ) as client:
        for number in (1, 2, 3):
            answer = client.get(f"/cases/drawn:s1/images/{number}")
            assert answer.status_code == 404
            assert "not on this machine" in answer.json()["detail"]
            assert str(tmp_path) not in answer.text


@pytest.mark.parametrize("way", ["outside", "upwards", "no root", "whole disk"])
def test_an_image_outside_the_folder_of_images_is_sent_only_if_the_server_allows_it(
    tmp_path: Path, way: str
) -> None:
    root, private = tmp_path / "images", tmp_path / "private"
    root.mkdir()
    private.mkdir()
    (private / "image.png").write_bytes(a_png(4))
    stored = root / ".." / "private" / "image.png" if way == "upwards" else private / "image.png"
    retriever = FakeRetriever([a_case(1, images=[stored])], image_root=str(root))
    if way == "no root":
        retriever = NoRoot([a_case(1, images=[stored])])
    elif way == "whole disk":
        retriever.image_root = "/"
    (tmp_path / "allowing").mkdir()
    with TestClient(an_app(tmp_path, retriever), base_url="http://127.0.0.1") as client:
        answer = client.get("/cases/drawn:s1/images/1")
        assert answer.status_code == 403 and "--image-root FOLDER" in answer.json()["detail"]
        assert str(tmp_path) not in answer.text
    app = an_app(tmp_path / "allowing", retriever, image_roots=(private,))
    with TestClient(app, base_url="http://127.0.0.1") as client:
        assert client.get("/cases/drawn:s1/images/1").status_code == 200


def test_a_file_that_is_no_radiograph_is_never_sent(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("nothing to see")
    with a_client(tmp_path, a_case(1, images=[secret])) as client:
        answer = client.get("/cases/drawn:s1/images/1")
        assert answer.status_code == 422
        assert "nothing to see" not in answer.text


@pytest.mark.parametrize(
    ("path", "url"),
    [
        (
            "/data/111_IM-0076-1001.dcm.jpg",
            "https://openi.nlm.nih.gov/detailedresult?img=CXR111_IM-0076-1001&req=4",
        ),
        (
            "/data/CXR111_IM-0076-0001-0002.png",
            "https://openi.nlm.nih.gov/detailedresult?img=CXR111_IM-0076-0001-0002&req=4",
        ),
        (
            "/data/112_IM-0076-1001.dcm.jpg",
            "https://openi.nlm.nih.gov/gridquery?q=CXR111&it=xg&coll=cxr",
        ),
        (None, "https://openi.nlm.nih.gov/gridquery?q=CXR111&it=xg&coll=cxr"),
    ],
)
def test_an_openi_case_links_to_its_public_page(path: str | None, url: str) -> None:
    image = None if path is None else Path(path)
    assert public_url(a_case(1, source="openi", study_id="111", images=[image])) == url


@pytest.mark.parametrize(
    ("study", "file", "path"),
    [
        ("111", "111_IM-0076-1001.dcm.jpg", "111/111/CXR111_IM-0076-1001.png"),
        ("3638", "CXR3638_IM-1804-1001.png", "29/3638/CXR3638_IM-1804-1001.png"),
        ("1", "1_IM-0001-3001.dcm.jpg", "1/1/CXR1_1_IM-0001-3001.png"),
    ],
)
def test_an_openi_image_has_its_public_address(study: str, file: str, path: str) -> None:
    case = a_case(1, source="openi", study_id=study, images=[Path(file)])
    address = public_image_url(case, case.images[0])
    assert address == f"https://openi.nlm.nih.gov/imgs/512/{path}"


def test_other_cases_link_nowhere() -> None:
    other = a_case(1, images=[Path("111_IM-0076-1001.dcm.jpg")])
    assert public_url(other) is None and public_image_url(other, other.images[0]) is None
    assert public_url(a_case(1, source="openi", study_id="javascript:1")) is None
