from __future__ import annotations

import os
from pathlib import Path

import pytest

from otelhealth.config import gather, matching
from otelhealth.config.load import load
from otelhealth.config.sources import Sources
from otelhealth.errors import ConfigError


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder / next(iter(files))


def refusals(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    return [str(problem).replace(f"{path.parent}/", "") for problem in caught.value.problems]


def test_included_files_add_their_sections_and_checks(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        {
            "shop.yaml": "include: [parts/*.yaml, more.toml]\nservice: {name: shop}\nchecks: {cpu: {kind: cpu}}\n",
            "parts/b.yaml": "checks: {load: {kind: load}}\n",
            "parts/a.yaml": "service: {version: 1.4.2}\nchecks: {disk: {kind: disk}}\n",
            "parts/notes.txt": "not asked for",
            "more.toml": '[checks.memory]\nkind = "memory"\nevery = "10s"\n',
        },
    )
    config = load(path, {})
    assert list(config.checks) == ["cpu", "disk", "load", "memory"]
    assert (config.service.name, config.service.version) == ("shop", "1.4.2")
    assert config.checks["memory"].every == 10


def test_a_file_that_two_files_include_is_read_once(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        {
            "shop.yaml": "include: [a.yaml, b.yaml]\n",
            "a.yaml": "include: [common.yaml]\n",
            "b.yaml": "include: common.yaml\n",
            "common.yaml": "checks: {cpu: {kind: cpu}}\n",
        },
    )
    assert list(load(path, {}).checks) == ["cpu"]


def test_a_glob_neither_includes_the_file_that_says_it_nor_needs_to_find_any(tmp_path: Path) -> None:
    path = write(tmp_path, {"shop.yaml": "include: ['*.yaml', none/*.yaml]\nchecks: {}\n"})
    assert load(path, {}).checks == {}


def test_a_glob_that_would_search_a_whole_disk_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, {"shop.yaml": "include: [/**, '/**/otelhealth.d/*.yaml']\nchecks: {cpu: {kind: cpuu}}\n"})
    remedy = "looks through more than 10,000 files and folders; name the folder of the files, such as conf.d/*.yaml"
    assert refusals(path) == [
        f"shop.yaml:1:11: include: {remedy}",
        f"shop.yaml:1:16: include: {remedy}",
        "shop.yaml:2:22: checks.cpu.kind: unknown kind 'cpuu'; did you mean cpu?",
    ]


def test_a_glob_that_has_come_to_find_too_much_is_a_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, {"shop.yaml": "include: parts/*\nchecks: {}\n", **{f"parts/{n}.yaml": "" for n in range(3)}})
    load(path, {}, sources := Sources())
    assert sources.again() == sources
    monkeypatch.setattr(matching, "MAX_ENTRIES", 2)
    assert sources.again() != sources


def test_two_stars_mean_any_folders_but_no_hidden_ones_and_follow_no_link_in_a_circle(tmp_path: Path) -> None:
    names = ("a.yaml", "b/a.yaml", "b/c/a.yaml", ".git/a.yaml", "b/.a.yaml", "b/c/a.txt")
    parts = {f"parts/{name}": "" for name in names}
    path = write(tmp_path, {"shop.yaml": "include: parts/**/*.yaml\nchecks: {}\n", **parts})
    (tmp_path / "parts" / "b" / "again").symlink_to(tmp_path / "parts")
    load(path, {}, sources := Sources())
    assert [str(file.relative_to(tmp_path)) for file in sources.files] == [
        *("shop.yaml", "parts/a.yaml", "parts/b/a.yaml", "parts/b/c/a.yaml")
    ]


@pytest.mark.parametrize("written", ["~/more.yaml", "~/*.yaml"])
def test_an_include_may_name_the_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    files = {"shop.yaml": f"include: {written}\n", "home/more.yaml": "checks: {of_home: {kind: cpu}}\n"}
    assert list(load(write(tmp_path, files), {}).checks) == ["of_home"]


def test_an_include_may_name_a_variable_and_an_absolute_path(tmp_path: Path) -> None:
    path = write(
        tmp_path, {"shop.yaml": "include: ['${env:PARTS}/*.yaml']\n", "parts/a.yaml": "checks: {cpu: {kind: cpu}}\n"}
    )
    assert list(load(path, {"PARTS": str(tmp_path / "parts")}).checks) == ["cpu"]


def test_paths_and_secret_files_are_taken_from_the_file_that_names_them(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        {
            "shop.yaml": "include: parts/a.yaml\nchecks: {own: {kind: sqlite, path: own.db}}\n",
            "parts/a.yaml": "checks: {theirs: {kind: sqlite, path: theirs.db, tags: ['${file:tag}']}}\n",
            "parts/tag": "blue\n",
        },
    )
    checks = load(path, {}).checks
    assert [check.model_dump()["path"] for check in checks.values()] == [
        str(tmp_path / "own.db"),
        str(tmp_path / "parts" / "theirs.db"),
    ]
    assert checks["theirs"].tags == ("blue",)


def test_what_is_defined_twice_names_both_places(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        {
            "shop.yaml": "include: a.yaml\nservice: {name: shop}\ndefaults:\n  tier: 1\n",
            "a.yaml": "service: {name: store}\ndefaults: {tier: 2, every: 5s}\n",
        },
    )
    assert refusals(path) == [
        "a.yaml:1:11: service.name: defined twice, first at shop.yaml:2:11; keep one",
        "a.yaml:2:12: defaults.tier: defined twice, first at shop.yaml:4:3; keep one",
    ]


def test_files_that_include_each_other_name_the_circle(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        {"a.yaml": "include: b.yaml\nchecks: {}\n", "b.yaml": "include: c.yaml\n", "c.yaml": "include: b.yaml\n"},
    )
    assert refusals(path) == [
        "c.yaml:1:10: include: files that include each other: b.yaml -> c.yaml -> b.yaml; remove one of the includes"
    ]


def test_errors_of_all_files_come_in_the_order_of_reading(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        {
            "shop.yaml": "include: [none.yaml, b.yaml, a.yaml]\nchecks: {cpu: {kind: cpuu}}\n",
            "b.yaml": "checks:\n  load: {kind: load, tier: 8}\n",
            "a.yaml": "checks: [\n",
        },
    )
    assert [line.split(": ")[0] for line in refusals(path)] == [
        "shop.yaml:1:11",
        "shop.yaml:2:22",
        "b.yaml:2:28",
        "a.yaml:2:1",
    ]


def test_a_file_that_is_missing_large_or_no_text_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert refusals(tmp_path / "none.yaml") == [
        "none.yaml: cannot be read: No such file or directory; create the file, or name another"
    ]
    latin = tmp_path / "latin.yaml"
    latin.write_bytes(b"service:\n  name: caf\xe9\n")
    assert refusals(latin) == ["latin.yaml:2: not UTF-8 text; save it as UTF-8"]
    monkeypatch.setattr(gather, "MAX_FILE", 10)
    assert refusals(write(tmp_path, {"large.yaml": "checks: {}\n"})) == [
        "large.yaml: larger than 16MiB; split it, or write less"
    ]


def test_what_might_never_end_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    refused = "cannot be read: it is a pipe or a device, no regular file; name a regular file"
    assert refusals(tmp_path / "pipe.yaml") == [f"pipe.yaml: {refused}"]
    (tmp_path / "endless.yaml").symlink_to("/dev/zero")
    assert refusals(tmp_path / "endless.yaml") == [f"endless.yaml: {refused}"]
    main = write(tmp_path, {"shop.yaml": "include: pipe.yaml\nservice: {name: '${file:pipe.yaml}'}\n"})
    assert refusals(main) == [
        f"shop.yaml:1:10: include: pipe.yaml {refused}",
        f"shop.yaml:2:17: service.name: ${{file:pipe.yaml}} {refused}",
    ]


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "shop.yaml"
    path.write_bytes(b"\xef\xbb\xbfservice: {name: shop}\n")
    assert load(path, {}).service.name == "shop"


def test_more_files_than_anyone_writes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gather, "MAX_FILES", 3)
    path = write(tmp_path, {"shop.yaml": "include: parts/*\n", **{f"parts/{n}.yaml": "" for n in range(5)}})
    assert refusals(path) == ["shop.yaml:1:10: include: more than 3 files; include fewer"]


def test_the_sources_are_all_files_that_were_read_or_missing(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        {
            "shop.yaml": "include: [parts/*.yaml, none.yaml]\n",
            "parts/a.yaml": "server: {auth: {tokens: ['${file:token}', '${file:lost}']}}\n",
            "parts/token": "s3cret",
        },
    )
    sources = Sources()
    with pytest.raises(ConfigError):
        load(path, {}, sources)
    assert {str(file.relative_to(tmp_path)) for file in sources.files} == {
        *("shop.yaml", "none.yaml", "parts/a.yaml", "parts/token", "parts/lost")
    }
    assert sources.globs == {(tmp_path, "parts/*.yaml"): (str(tmp_path / "parts/a.yaml"),)}
