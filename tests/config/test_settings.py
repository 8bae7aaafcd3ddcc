"""A wrong setting is told by where, what and how to mend it; its value is never shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.settings import ConfigError, load_agency, load_channels, load_people, load_settings, secret


def test_the_files_that_come_with_the_service_are_right() -> None:
    folder = Path(__file__).parents[2] / "config"
    assert load_agency(folder).columns
    assert load_people(folder).stages == ("first", "second", "final")
    assert [a.kind for a in load_channels(folder)] == ["site"]


@pytest.mark.parametrize(
    ("file", "text", "key"),
    [
        ("channels.toml", 'channels = [{name = "a"}]', "channels.0.kind"),
        ("channels.toml", '[[channels]]\nname="a"\nkind="x"\n[[channels]]\nname="a"\nkind="x"', ""),
        ("channels.toml", 'channels = [{name = "A b", kind = "x"}]', "channels.0.name"),
        ("channels.toml", 'secrets = "hidden-value"', "secrets"),
        ("channels.toml", "channels = [", ""),
        ("people.toml", 'stages = ["a", "a"]', ""),
        ("people.toml", 'stages = ["a"]\npeople = [{name = "n", may_sign = ["b"]}]', ""),
        ("people.toml", "stages = []", "stages"),
        ("agency.toml", 'name_zh = ""', "name_zh"),
    ],
)
def test_a_wrong_file_is_told_by_file_and_key(tmp_path: Path, file: str, text: str, key: str) -> None:
    (tmp_path / file).write_text(text, "utf-8")
    load = {"channels.toml": load_channels, "people.toml": load_people, "agency.toml": load_agency}[file]
    with pytest.raises(ConfigError) as refused:
        load(tmp_path)
    assert refused.value.where.endswith(file)
    assert key in [k for k, _ in refused.value.problems]
    assert "hidden-value" not in str(refused.value)


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="missing"):
        load_people(tmp_path)


def test_a_wrong_variable_is_named_and_its_value_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GONGBAO_PORT", "hidden-value")
    with pytest.raises(ConfigError) as refused:
        load_settings()
    assert "GONGBAO_" in str(refused.value)
    assert "port" in str(refused.value)
    assert "hidden-value" not in str(refused.value)


def test_networks_are_read_from_one_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GONGBAO_ALLOW_NETWORKS", "10.0.0.0/8, ::1/128")
    assert [str(n) for n in load_settings().allow_networks] == ["10.0.0.0/8", "::1/128"]


def test_secrets_come_from_the_environment_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from-file\n", "utf-8")
    found = secret(["env:K", "file:key", 3, "plain"], where="w", key="k", base=tmp_path, environ={"K": "from-env"})
    assert found == ["from-env", "from-file", 3, "plain"]


@pytest.mark.parametrize("value", ["env:ABSENT", "file:absent"])
def test_a_secret_that_is_not_there_is_told_by_account_and_key(tmp_path: Path, value: str) -> None:
    with pytest.raises(ConfigError) as refused:
        secret([value], where="channels.toml (a)", key="secrets", base=tmp_path, environ={})
    assert refused.value.where == "channels.toml (a)"
    assert refused.value.problems[0][0] == "secrets[0]"
