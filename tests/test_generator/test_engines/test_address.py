"""Addresses of model servers, and where anything may be sent."""

import pytest

from db.errors import ForbiddenError, UserError
from generator.engines.address import ModelAddress, RemoteOptions, is_address


def test_an_address_names_server_model_and_settings() -> None:
    found = ModelAddress.parse("openai+https://[::1]:8000/api/v1/?tile_size=896&seconds=9.5#a/b:c")
    assert (found.base_url, found.host, found.model) == (
        "https://[::1]:8000/api/v1",
        "::1",
        "a/b:c",
    )
    assert (found.settings.tile_size, found.settings.seconds) == (896, 9.5)
    assert found.name == "openai+https://[::1]:8000/api/v1#a/b:c"
    assert is_address(found.name) and not is_address("pretrained/generator")


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("openai+ftp://a/v1#m", "cannot be read"),
        ("openai+http://#m", "cannot be read"),
        ("openai+http://a:port/v1#m", "cannot be read"),
        ("openai+http://[::1/v1#m", "cannot be read"),
        ("openai+http://a b/v1#m", "cannot be read"),
        ("openai+http://me:secret@a/v1#m", "GROUNDED_CXR_MODEL_KEY"),
        ("openai+http://a/v1?tile=9#m", "'tile' is no setting.*tile_size"),
        ("openai+http://a/v1?tile_size=big#m", "must be a number, not 'big'"),
        ("openai+http://a/v1?tile_size=9#m", "32 to 4096"),
        ("openai+http://a/v1?concurrency=0#m", "1 to 1024"),
        ("openai+http://a/v1?context_tokens=0#m", "at least 1"),
        ("openai+http://a/v1?seconds=nan#m", "more than 0"),
        ("openai+http://a/v1?silent_seconds=inf#m", "more than 0"),
    ],
)
def test_what_is_no_address_is_refused_in_one_sentence(address: str, said: str) -> None:
    with pytest.raises(UserError, match=said) as caught:
        ModelAddress.parse(address)
    assert "secret" not in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("http://127.0.0.1:8000", RemoteOptions()),
        ("http://localhost", RemoteOptions()),
        ("http://[::1]:8000", RemoteOptions()),
        ("https://models.example", RemoteOptions(allow_remote=True)),
    ],
)
def test_this_machine_and_an_allowed_one_by_https_are_asked(
    address: str, allowed: RemoteOptions
) -> None:
    ModelAddress.parse(f"openai+{address}/v1#m").check(allowed)


@pytest.mark.parametrize(
    ("address", "allowed", "said"),
    [
        ("https://models.example", RemoteOptions(), "--allow-remote-model"),
        ("http://models.example", RemoteOptions(allow_remote=True), "not encrypted"),
        ("http://10.0.0.7:8000", RemoteOptions(allow_remote=True), "not encrypted"),
        ("http://localhost.example", RemoteOptions(), "--allow-remote-model"),
        ("http://127.0.0.1.example", RemoteOptions(), "--allow-remote-model"),
        ("http://0.0.0.0:8000", RemoteOptions(), "--allow-remote-model"),
    ],
)
def test_another_machine_is_refused(address: str, allowed: RemoteOptions, said: str) -> None:
    with pytest.raises(ForbiddenError, match=said):
        ModelAddress.parse(f"openai+{address}/v1#m").check(allowed)
