"""What scores rest on, over HTTP: as regions, as PNG, as DICOM, and in the images of cases."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from litestar.testing import TestClient
from PIL import Image
from pydicom.uid import SecondaryCaptureImageStorage, generate_uid

from db.app.database import AppDatabase
from db.labels import OBSERVATIONS
from tests.support.dicoms import write_dicom
from tests.support.fakes import ThumbnailEncoder
from tests.support.radiographs import draw_radiograph
from tests.support.service.services import (
    NOW,
    FakeRetriever,
    a_case,
    a_png,
    an_app,
    database_at,
)

Client = TestClient[Any]
EFFUSION = {"observation": "Pleural Effusion"}
STUDY = "1.2.826.0.1.3680043.8.498.7"


@pytest.fixture
def cases(tmp_path: Path) -> list[Any]:
    image = tmp_path / "case.png"
    image.write_bytes(a_png(7))
    return [a_case(1, images=[image]), a_case(2)]


@pytest.fixture
def client(tmp_path: Path, cases: list[Any]) -> Iterator[Client]:
    app = an_app(tmp_path, FakeRetriever(cases))
    with TestClient(app, base_url="http://127.0.0.1") as client:
        yield client


def made_from(client: Client, *images: bytes) -> dict[str, Any]:
    answer = client.post("/reports", files=[("images", ("image", image)) for image in images])
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def picture(content: bytes) -> Any:
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image).astype(int)


def test_a_report_holds_a_region_for_every_observation_of_every_image(client: Client) -> None:
    made = made_from(client, a_png(1), a_png(2, size=(64, 96)))
    found = [(one["image"], one["observation"]) for one in made["regions"]]
    assert found == [(number, name) for number in (1, 2) for name in OBSERVATIONS]
    effusion = next(one for one in made["regions"] if one["observation"] == "Pleural Effusion")
    (polygon,) = effusion["polygons"]
    assert (effusion["width"], effusion["height"]) == (420, 512)
    x, y = np.mean(polygon, axis=0) / (420, 512)
    assert (x, y) == (pytest.approx(2 / 8, abs=0.03), pytest.approx(6 / 8, abs=0.03))
    stored = client.get(f"/generations/{made['id']}").json()
    assert stored["regions"] == made["regions"], "the history shows them as well"


def test_a_map_is_a_transparent_png_and_with_the_image_a_picture(
    client: Client, tmp_path: Path
) -> None:
    address = f"/generations/{made_from(client, a_png(1))['id']}/map"
    alone = client.get(address, params=EFFUSION)
    assert alone.status_code == 200 and alone.headers["content-type"] == "image/png"
    drawn = picture(alone.content)
    assert drawn.shape == (512, 420, 4)
    assert drawn[380, 105, 3] > 100 and drawn[:200, :, 3].max() == 0
    over = client.post(address, data=EFFUSION, files={"image": ("a.png", a_png(1))})
    assert over.status_code == 200, over.text
    assert picture(over.content).shape[1:] == (420, 3) and len(picture(over.content)) > 512
    opacity = picture(client.get(address, params={"observation": "Lung Opacity"}).content)
    assert opacity[380, 315, 3] > 100 and opacity[380, 105, 3] == 0


def test_each_image_of_a_report_has_its_own_picture(client: Client) -> None:
    second = a_png(2, size=(64, 96))
    address = f"/generations/{made_from(client, a_png(1), second)['id']}/map"
    over = client.post(address, data=EFFUSION, files={"image": ("b.png", second)})
    assert over.status_code == 200 and picture(over.content).shape[1] == 96
    alone = client.get(address, params={**EFFUSION, "image": 2})  # type: ignore[arg-type]
    assert picture(alone.content).shape == (64, 96, 4)


def test_another_image_or_observation_is_refused(client: Client) -> None:
    address = f"/generations/{made_from(client, a_png(1))['id']}/map"
    other = client.post(address, data=EFFUSION, files={"image": ("a.png", a_png(2))})
    assert other.status_code == 409 and "not an image that" in other.json()["detail"]
    for params in ({"observation": "Broken Heart"}, {**EFFUSION, "image": 2}):
        answer = client.get(address, params=params)  # type: ignore[arg-type]
        assert answer.status_code == 404 and "has no map of" in answer.json()["detail"]
    answer = client.post(
        address, data={"observation": "Broken Heart"}, files={"image": ("a.png", a_png(1))}
    )
    assert answer.status_code == 404


def test_a_secondary_capture_joins_the_study_of_the_image(client: Client, tmp_path: Path) -> None:
    image = write_dicom(
        tmp_path / "image.dcm",
        draw_radiograph(1, size=(96, 80)),
        PatientName="Drawn^Person",
        PatientID="MRN-1",
        StudyInstanceUID=STUDY,
        SOPInstanceUID=generate_uid(),
        ViewPosition="PA",
    ).read_bytes()
    address = f"/generations/{made_from(client, image)['id']}"
    answer = client.post(f"{address}/dicom-sc", data=EFFUSION, files={"image": ("a.dcm", image)})
    assert answer.headers["content-type"] == "application/dicom", answer.text
    made = pydicom.dcmread(io.BytesIO(answer.content))
    assert made.SOPClassUID == SecondaryCaptureImageStorage
    assert (made.StudyInstanceUID, made.PatientID) == (STUDY, "MRN-1")
    assert list(made.PatientOrientation) == ["L", "F"] and made.BurnedInAnnotation == "YES"
    assert made.ImageComments.startswith("What the score for Pleural Effusion rests on")
    pixels = made.pixel_array.astype(int)
    assert pixels.shape[1:] == (80, 3)
    assert pixels[70, 20, 0] - pixels[70, 20, 2] > 60 > abs(pixels[70, 60, 0] - pixels[70, 60, 2])
    sr = pydicom.dcmread(
        io.BytesIO(client.post(f"{address}/dicom-sr", files={"image": ("a.dcm", image)}).content)
    )
    assert sr.StudyInstanceUID == STUDY and sr.SeriesInstanceUID != made.SeriesInstanceUID
    again = client.post(f"{address}/dicom-sc", data=EFFUSION, files={"image": ("a.dcm", image)})
    assert pydicom.dcmread(io.BytesIO(again.content)).SOPInstanceUID == made.SOPInstanceUID
    plain = client.post(
        f"/generations/{made_from(client, a_png(1))['id']}/dicom-sc",
        data=EFFUSION,
        files={"image": ("a.png", a_png(1))},
    )
    assert plain.status_code == 422


def test_the_same_observation_is_mapped_in_the_image_of_a_case(client: Client) -> None:
    both = {"observation": ["Pleural Effusion", "Lung Opacity"]}
    answer = client.get("/cases/drawn:s1/images/1/regions", params=both)
    assert answer.status_code == 200, answer.text
    opacity, effusion = answer.json()
    assert (opacity["observation"], effusion["observation"]) == ("Lung Opacity", "Pleural Effusion")
    assert (effusion["image"], effusion["width"], effusion["height"]) == (1, 420, 512)
    assert np.mean(effusion["polygons"][0], axis=0)[0] < 210
    assert np.mean(opacity["polygons"][0], axis=0)[0] > 210
    missing = client.get("/cases/drawn:s2/images/1/regions", params=EFFUSION)
    assert missing.status_code == 404 and "is not on this machine" in missing.json()["detail"]
    unknown = client.get("/cases/drawn:s1/images/1/regions", params={"observation": "Love"})
    assert unknown.status_code == 422 and "unknown observation 'Love'" in unknown.json()["detail"]


def test_maps_are_entered_into_the_audit_log_and_hidden_from_other_keys(
    tmp_path: Path, cases: list[Any]
) -> None:
    location = database_at(tmp_path)
    with AppDatabase.open(location) as database:
        keys = {}
        for name, scopes in (
            ("ward", ["read", "generate"]),
            ("clinic", ["read"]),
            ("writer", ["generate"]),
        ):
            secret = database.keys.add(name, scopes, at=NOW)
            keys[name] = {"authorization": f"Bearer {secret}"}
    app = an_app(tmp_path, FakeRetriever(cases), require_keys=True)
    with TestClient(app, base_url="http://127.0.0.1") as client:
        answer = client.post("/reports", files={"images": ("i", a_png(1))}, headers=keys["ward"])
        address = f"{answer.headers['location']}/map"
        assert client.get(address, params=EFFUSION, headers=keys["ward"]).status_code == 200
        assert client.get(address, params=EFFUSION, headers=keys["clinic"]).status_code == 404
        assert client.get(address, params=EFFUSION, headers=keys["writer"]).status_code == 403
        assert client.get(address, params=EFFUSION).status_code == 401
        regions = "/cases/drawn:s1/images/1/regions"
        assert client.get(regions, params=EFFUSION, headers=keys["ward"]).status_code == 200
        assert client.get(regions, params=EFFUSION).status_code == 401
    with AppDatabase.open(location) as database:
        entries = [(one.caller, one.action) for one in database.audit]
    assert ("ward", "generation exported") in entries and ("ward", "case image read") in entries
    assert ("clinic", "generation exported") not in entries


def test_an_encoder_that_cannot_say_gives_no_regions(tmp_path: Path, cases: list[Any]) -> None:
    retriever = FakeRetriever(cases, encoder=ThumbnailEncoder())
    with TestClient(an_app(tmp_path, retriever), base_url="http://127.0.0.1") as client:
        made = made_from(client, a_png(1))
        assert made["regions"] == []
        answer = client.get("/cases/drawn:s1/images/1/regions", params=EFFUSION)
        assert answer.status_code == 409
        assert "cannot say what its scores rest on" in answer.json()["detail"]
