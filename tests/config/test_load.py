from __future__ import annotations

import gc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from otelhealth.checks.base import Check
from otelhealth.checks.registry import all_kinds
from otelhealth.config.defaults import HOST_CHECKS
from otelhealth.config.load import find, from_mapping, load
from otelhealth.config.root import SECTIONS, Config
from otelhealth.errors import ConfigError, Problem
from otelhealth.kinds.cpu import CpuCheck
from otelhealth.server.settings import ServerSettings
from otelhealth.settings import Settings

EXAMPLES = Path(__file__).parents[2] / "examples"


def loaded(folder: Path, text: str, **environ: str) -> Config:
    path = folder / "otelhealth.yaml"
    path.write_text(text)
    return load(path, environ)


def refusal(data: dict[str, object]) -> str:
    with pytest.raises(ConfigError) as caught:
        from_mapping(data, {})
    return str(caught.value)


def test_the_file_is_the_named_one_else_that_of_the_environment_else_the_folders(tmp_path: Path) -> None:
    named = {"OTELHEALTH_CONFIG": "/etc/shop.yaml"}
    assert find(Path("my.yaml"), named, tmp_path) == Path("my.yaml")
    assert find(None, named, tmp_path) == Path("/etc/shop.yaml")
    assert find(None, {"OTELHEALTH_CONFIG": ""}, tmp_path) is None
    for name in ("otelhealth.toml", "otelhealth.yml", "otelhealth.yaml"):
        (tmp_path / name).touch()
        assert find(None, {}, tmp_path) == tmp_path / name


def test_without_a_file_the_host_is_checked() -> None:
    config = load(None, {"OTEL_SERVICE_NAME": "till"})
    assert {"cpu", "memory", "disk", "load", "network", "fds"} == set(config.checks) == set(HOST_CHECKS)
    assert {check.category for check in config.checks.values()} == {"system"}
    assert (config.service.name, config.server.listen, config.file) == ("till", "127.0.0.1:8082", None)
    assert load(None, {}).service.name


def test_a_file_without_checks_leaves_the_default_ones_and_an_empty_mapping_means_none(tmp_path: Path) -> None:
    assert set(loaded(tmp_path, "service: {name: shop}").checks) == set(HOST_CHECKS)
    assert loaded(tmp_path, "checks: {}").checks == {}


def below(base: type[Settings]) -> Iterator[type[Settings]]:
    for model in base.__subclasses__():
        yield model
        yield from below(model)


def test_what_stands_where_nothing_is_said_is_what_a_judged_nothing_gives() -> None:
    all_kinds()
    parts = {model for model in below(Settings) if model.__module__.startswith("otelhealth.")} - {*below(Check)}
    whole = {model for model in parts if not any(field.is_required() for field in model.model_fields.values())}
    assert {*SECTIONS.values()} <= whole
    for model in whole:
        assert model.by_default() == model.model_validate({})


def test_the_first_example_is_good_from_anywhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    config = load(EXAMPLES / "first.yaml", {"HOME": "/home/shop"})
    assert {check.kind for check in config.checks.values()} >= {"cpu", "http", "tcp", "dns", "tls", "sqlite", "python"}
    assert config.service.environment == "development"
    assert config.telemetry.otlp.endpoint is None
    assert config.checks["disk"].levels["utilization"].fail == "> 95%"
    assert config.checks["stock"].model_dump()["import_from"] == str(EXAMPLES)


def test_defaults_are_for_checks_that_do_not_say_it_and_thresholds_field_by_field(tmp_path: Path) -> None:
    config = loaded(
        tmp_path,
        """
        defaults: {every: 5m, tier: 3, threshold: {max_consecutive_failures: 5, rise: 2}}
        checks:
          cpu: {kind: cpu, every: 10s, threshold: {rise: 4}}
          load: {kind: load, cron: "0 2 * * *"}
        """,
    )
    cpu, night = config.checks["cpu"], config.checks["load"]
    assert (cpu.every, cpu.tier) == (10, 3)
    assert (cpu.threshold.max_consecutive_failures, cpu.threshold.rise) == (5, 4)
    assert (night.cron, night.every, night.threshold.rise) == ("0 2 * * *", 30, 2)


def test_a_check_has_the_name_of_its_key(tmp_path: Path) -> None:
    assert loaded(tmp_path, "checks: {root-disk: {kind: disk}}").checks["root-disk"].name == "root-disk"


def test_a_number_counts_as_written_where_a_text_is_wanted(tmp_path: Path) -> None:
    config = loaded(
        tmp_path,
        "service: {name: 0042, version: 1.10}\nchecks: {api: {kind: http, url: 'http://x/', headers: {a: true}}}",
    )
    assert (config.service.name, config.service.version) == ("0042", "1.10")


def test_a_secret_that_looks_like_something_else_arrives_as_it_is(tmp_path: Path) -> None:
    for secret in ("0123", "true", "1e5", "[a]", "{a:1}", "a#b"):
        config = loaded(tmp_path, "server: {auth: {tokens: ['${env:TOKEN}']}}\nchecks: {}", TOKEN=secret)
        assert [token.get_secret_value() for token in config.server.auth.tokens] == [secret]


def test_an_expression_stands_for_a_number_a_boolean_and_a_list(tmp_path: Path) -> None:
    config = loaded(
        tmp_path,
        "checks: {cpu: {kind: cpu, tier: '${env:T}', enabled: '${env:E}', tags: '${env:L}', every: '${env:D}'}}",
        T="1",
        E="false",
        L="[a, b]",
        D="5s",
    )
    cpu = config.checks["cpu"]
    assert (cpu.tier, cpu.enabled, cpu.tags, cpu.every) == (1, False, ("a", "b"), 5)


def test_a_whole_section_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "checks").write_text("{cpu: {kind: cpu}}\n")
    assert list(loaded(tmp_path, "checks: ${file:checks}").checks) == ["cpu"]


def test_toml_makes_the_same_configuration(tmp_path: Path) -> None:
    (tmp_path / "shop.toml").write_text(
        '[service]\nname = "shop"\n[checks.api]\nkind = "tcp"\nhost = "${env:HOST}"\nport = 80\nevery = "5s"\n'
    )
    yaml = loaded(tmp_path, "service: {name: shop}\nchecks: {api: {kind: tcp, host: db, port: 80, every: 5s}}")
    toml = load(tmp_path / "shop.toml", {"HOST": "db"})
    assert toml == replace(yaml, file=toml.file)


def test_a_configuration_compares_by_what_it_says(tmp_path: Path) -> None:
    text = "checks: {cpu: {kind: cpu, every: 5s}}"
    assert loaded(tmp_path, text) == loaded(tmp_path, text)
    assert loaded(tmp_path, text) != loaded(tmp_path, "checks: {cpu: {kind: cpu, every: 6s}}")


def test_ten_thousand_checks_are_read_and_judged(tmp_path: Path) -> None:
    lines = [
        f"  c{n}: {{kind: tcp, host: h{n}, port: 80, depends_on: [c{n // 2}], tags: [a]}}" for n in range(1, 10_000)
    ]
    config = loaded(tmp_path, "\n".join(["checks:", "  c0: {kind: cpu}", *lines]))
    assert len(config.checks) == 10_000
    assert config.checks["c1"].threshold is config.checks["c9999"].threshold


def test_pythons_collector_is_as_it_was_after_a_load(tmp_path: Path) -> None:
    loaded(tmp_path, "checks: {}")
    assert gc.isenabled()


def test_a_program_gives_plain_data_checks_and_settings() -> None:
    config = from_mapping(
        {
            "service": {"name": "worker"},
            "server": ServerSettings(enabled=False),
            "checks": {"cpu": CpuCheck(every="5s"), "api": {"kind": "tcp", "host": "${env:HOST}", "port": 80}},
        },
        {"HOST": "db"},
    )
    assert (config.server.enabled, config.checks["cpu"].every, config.checks["cpu"].name) == (False, 5, "cpu")
    assert config.checks["api"].model_dump()["host"] == "db"


def test_plain_data_is_judged_like_a_file() -> None:
    assert refusal({"chekcs": {}, "checks": {"a": {"kind": "cpu", "depends_on": ("a",), "every": 5}}}).splitlines() == [
        "configuration: chekcs: unknown key 'chekcs'; did you mean checks?",
        "configuration: checks.a.every: a duration needs a unit; write 5s or 5m",
        "configuration: checks.a.depends_on: circular: a -> a; remove one of these dependencies",
    ]


def test_checks_that_a_program_made_are_named_and_held_together() -> None:
    assert from_mapping({"checks": {"mine": CpuCheck()}}, {}).checks["mine"].name == "mine"
    assert refusal({"checks": {"a": CpuCheck(depends_on=("b",))}}) == (
        "configuration: checks.a.depends_on[0]: there is no check 'b'; name one that stands under `checks`"
    )


@pytest.mark.parametrize("suffix", ["toml", "yaml"])
def test_relative_paths_start_from_the_file_that_says_them(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "parts").mkdir()
    text = {"toml": '[checks.files]\nkind = "directory"\npath = "data"\n'}
    text["yaml"] = "checks: {files: {kind: directory, path: data}}\n"
    (tmp_path / "parts" / f"more.{suffix}").write_text(text[suffix])
    (tmp_path / "shop.yaml").write_text(f"include: parts/more.{suffix}\n")
    check = load(tmp_path / "shop.yaml", {}).checks["files"]
    assert getattr(check, "path", "") == str(tmp_path / "parts" / "data")


def test_errors_in_toml_have_their_lines_in_every_file(tmp_path: Path) -> None:
    (tmp_path / "more.toml").write_text('\n[checks.a]\nkind = "lode"\n')
    (tmp_path / "shop.toml").write_text('include = "more.toml"\n[checks.b]\nkind = "load"\nevery = 1\n')
    problems = refusals(tmp_path / "shop.toml")
    assert [(Path(each.file).name, each.line, each.column) for each in problems] == [
        ("shop.toml", 4, 9),
        ("more.toml", 3, 8),
    ]


def refusals(file: Path) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as caught:
        load(file, {})
    return caught.value.problems


@pytest.mark.parametrize(
    ("head", "line", "remedy"),
    [
        ("checks: {cpu: {kind: cpu}}\nservice:\n", "  nmae{}: x\n", "did you mean name?"),
        ("checks:\n", "  c{}: {{kind: cpuu}}\n", "did you mean cpu?"),
        ("checks:\n", "  c{0}: {{kind: cpu, depends_on: [cc{0}]}}\n", "did you mean c0?"),
    ],
)
def test_thousands_of_wrong_words_are_all_counted_and_compared_within_bounds(
    head: str, line: str, remedy: str, tmp_path: Path
) -> None:
    path = tmp_path / "otelhealth.yaml"
    path.write_text(head + "".join(line.format(number) for number in range(5000)))
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    problems, said = caught.value.problems, str(caught.value).splitlines()
    assert (len(problems), len(said), said[-1]) == (5000, 1001, "and 4,000 more")
    assert problems[0].remedy == remedy
    assert "did you mean" not in problems[-1].remedy


def test_data_that_holds_itself_is_refused() -> None:
    data: dict[str, object] = {}
    data["service"] = data
    assert refusal(data) == "configuration: nested too deeply; flatten it"
