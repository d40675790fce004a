"""unsloth has an environment of its own: its pins agree with what its wheels ask for.

``data/unsloth_requirements.json`` holds the requirements as the metadata of the wheels state them.
"""

import json
import re
import tomllib

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import ROOT

RECORDED: dict[str, list[str]] = json.loads(
    (ROOT / "tests/data/unsloth_requirements.json").read_text(encoding="utf-8")
)
LINUX = {"sys_platform": "linux", "platform_machine": "x86_64", "python_version": "3.11"}


def pins(name: str) -> dict[str, str]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    found = [line.split("#")[0].strip().partition("==") for line in lines]
    return {canonicalize_name(name): version for name, equals, version in found if equals}


def violations(pinned: dict[str, str]) -> list[str]:
    """Requirements of the recorded wheels that a set of pins breaks."""
    broken = []
    for wheel, requirements in RECORDED.items():
        for text in requirements:
            needed = Requirement(text)
            if needed.marker is not None and not needed.marker.evaluate({**LINUX, "extra": ""}):
                continue
            version = pinned.get(canonicalize_name(needed.name))
            if version is not None and version not in needed.specifier:
                broken.append(f"{wheel} asks for {text}, pinned is {version}")
    return broken


def test_what_was_recorded_is_what_is_pinned() -> None:
    pinned = pins("constraints-unsloth.txt")
    for wheel in RECORDED:
        name, _, version = wheel.partition("==")
        assert pinned[canonicalize_name(name)] == version
    assert {"unsloth", "unsloth_zoo"} <= {wheel.partition("==")[0] for wheel in RECORDED}


def test_the_pins_of_the_unsloth_environment_agree_with_each_other() -> None:
    assert violations(pins("constraints-unsloth.txt")) == []


def test_every_requirement_with_a_cap_is_pinned() -> None:
    pinned = pins("constraints-unsloth.txt")
    for requirements in RECORDED.values():
        for text in requirements:
            needed = Requirement(text)
            applies = needed.marker is None or needed.marker.evaluate({**LINUX, "extra": ""})
            if applies and re.search("<|==", str(needed.specifier)):
                assert canonicalize_name(needed.name) in pinned, text


def test_the_pins_of_serving_do_not_serve_unsloth() -> None:
    broken = " ".join(violations(pins("constraints.txt") | {"datasets": "5.2.0"}))
    assert "transformers" in broken and "datasets" in broken


def test_no_other_extra_brings_unsloth() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = {"": project["dependencies"], **project["optional-dependencies"]}
    bringing = {
        extra
        for extra, requirements in named.items()
        if any(Requirement(text).name.startswith("unsloth") for text in requirements)
    }
    assert bringing == {"unsloth"}
