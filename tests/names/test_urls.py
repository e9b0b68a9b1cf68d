"""Which addresses git may be given, what they are equal to, and that they keep their secrets."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grex.names import InvalidUrlError, PackUrl, check_pack_path, parse_url, redact


@pytest.mark.parametrize(
    ("text", "parts", "name", "limit_key"),
    [
        ("https://GitHub.com/org/repo.git", ("https", "github.com", "/org/repo.git"), "repo", "github.com"),
        ("https://host:8443/a", ("https", "host", "/a"), "a", "host"),
        ("HTTP://localhost/a", ("http", "localhost", "/a"), "a", "localhost"),
        ("ssh://git@host:22/~/a.git/", ("ssh", "host", "/~/a.git/"), "a", "host"),
        ("ssh://[2001:DB8::1]:2222/a", ("ssh", "2001:db8::1", "/a"), "a", "2001:db8::1"),
        ("git@host:org/repo.git", ("ssh", "host", "org/repo.git"), "repo", "host"),
        ("host:repo", ("ssh", "host", "repo"), "repo", "host"),
        ("host:/srv/a b", ("ssh", "host", "/srv/a b"), "a b", "host"),
        ("[::1]:repo", ("ssh", "::1", "repo"), "repo", "::1"),
        ("git://host/repo", ("git", "host", "/repo"), "repo", "host"),
        ("file:///srv/a%20b.git", ("file", "", "/srv/a b.git"), "a b", "local"),
        ("file://localhost/srv/a", ("file", "", "/srv/a"), "a", "local"),
        ("/srv/x:y/.git", ("local", "", "/srv/x:y/.git"), "x:y", "local"),
        ("https://host/a?path=/b#c", ("https", "host", "/a?path=/b#c"), "a", "host"),
        ("https://host/a%20b", ("https", "host", "/a%20b"), "a b", "host"),
        ("https://my_host.example./a", ("https", "my_host.example", "/a"), "a", "my_host.example"),
    ],
)
def test_each_accepted_kind_is_taken_apart(text: str, parts: tuple[str, str, str], name: str, limit_key: str) -> None:
    url = parse_url(text)
    assert (url.text, url.scheme, url.host, url.path) == (text, *parts)
    assert (url.default_name, url.limit_key) == (name, limit_key)
    assert url.local_path == (Path(url.path) if url.is_local else None)


def test_git_gets_the_address_as_written_but_for_what_it_would_not_understand() -> None:
    assert parse_url("HTTPS://u:p@Host/X").resolved == "https://u:p@Host/X"
    assert parse_url("file://localhost/srv/x%20").resolved == "file:///srv/x%20"
    assert parse_url("git@Host:x").resolved == "git@Host:x"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is empty"),
        (" https://h/x", "' https://h/x' starts or ends with white space"),
        ("https://h/x\n", "'https://h/x ' starts or ends with white space"),
        ("https://h/\x1b[31mx", "'https://h/x' holds a control character"),
        ("https://h/\udcff", "'https://h/\ufffd' holds a control character"),
        ("https://h/%0ahost=evil", "'https://h/%0ahost=evil' holds a control character written as %XX"),
        ("-x", "'-x' starts with '-', which git would read as an option"),
        ("--upload-pack=touch x", "'--upload-pack=touch x' starts with '-', which git would read as an option"),
        ("~/x", "'~/x' starts with '~', which only a shell expands"),
        ("ext::sh -c 'id'", "'ext::sh -c 'id'' names the remote helper 'ext::', and helpers run programs"),
        ("fd::17", "'fd::17' names the remote helper 'fd::', and helpers run programs"),
        ("::x", "'::x' names the remote helper '::', and helpers run programs"),
        (
            "transport::https://u:p@h/x",
            "'transport::https://***@h/x' names the remote helper 'transport::', and helpers run programs",
        ),
        ("C:\\x", "'C:\\x' is a path on a drive"),
        ("ftp://h/x", "'ftp://h/x' has the scheme 'ftp', which grex does not use"),
        ("git+ssh://h/x", "'git+ssh://h/x' has the scheme 'git+ssh', which grex does not use"),
        ("ext://h/x", "'ext://h/x' has the scheme 'ext', which grex does not use"),
        ("https://h/a b", "'https://h/a b' holds white space"),
        ("https://h", "'https://h' names a host and no repository"),
        ("https://h/", "'https://h/' names a host and no repository"),
        ("https:///x", "'https:///x' names no host"),
        ("https://u@/x", "'https://***@/x' names no host"),
        ("https://u:p@h:x/y", "'https://***@h:x/y' has a port that is not a number"),
        ("https://u:p/w@h/x", "'https://***@h/x' has a port that is not a number"),
        ("https://h:0/x", "'https://h:0/x' has the port 0, which does not exist"),
        ("https://h:65536/x", "'https://h:65536/x' has the port 65536, which does not exist"),
        ("ssh://-oProxyCommand=id/x", "'ssh://-oProxyCommand=id/x' has a host that starts with '-'"),
        ("ssh://-l@h/x", "'ssh://-l@h/x' has a user that starts with '-'"),
        ("ssh://%2dl@h/x", "'ssh://%2dl@h/x' has a user that starts with '-'"),
        ("ssh://%2doX/x", "'ssh://%2doX/x' has a host that is no host name"),
        ("https://a$b/x", "'https://a$b/x' has a host that is no host name"),
        (
            "https://[1.2.3.4]/x",
            "'https://[1.2.3.4]/x' has a host that is no IPv6 address although it stands in brackets",
        ),
        ("user@-oX:x", "'user@-oX:x' has a host that starts with '-'"),
        ("h:", "'h:' names a host and no repository"),
        ("h:-x", "'h:-x' has a path that starts with '-'"),
        ("u:p@h:x", "'***@h:x' holds a password where ssh takes none"),
        ("a@b@c:d", "'a@b@c:d' is no address that git understands"),
        ("file://host/x", "'file://host/x' names a host in a file URL"),
        ("file:///", "'file:///' names no repository"),
        ("file:///a%00b", "'file:///a%00b' holds a control character"),
        ("repo", "'repo' is neither an address nor relative to one"),
        ("./repo", "'./repo' is relative, and nothing says to what"),
        ("https://h/" + "x" * 2048, "'https://h/" + "x" * 189 + "…' is longer than 2048 bytes"),
    ],
)
def test_what_git_could_take_for_something_else_is_refused_with_one_sentence(text: str, message: str) -> None:
    with pytest.raises(InvalidUrlError) as caught:
        parse_url(text)
    assert str(caught.value) == message
    assert str(caught.value).endswith(caught.value.reason)


@pytest.mark.parametrize(
    ("base", "text", "resolved"),
    [
        ("https://h/org", "x", "https://h/org/x"),
        ("https://h/org/", "./x.git", "https://h/org/x.git"),
        ("https://h/org/team", "../x", "https://h/org/x"),
        ("https://h/org", "../x", "https://h/x"),
        ("https://h:8443/org", "a/../b", "https://h:8443/org/b"),
        ("git@h:org", "x", "git@h:org/x"),
        ("git@h:org", "../x", "git@h:x"),
        ("git@h:/srv", "x", "git@h:/srv/x"),
        ("/srv/git", "x", "/srv/git/x"),
        ("file:///srv/a%20b", "c", "file:///srv/a%20b/c"),
        ("../up", "x", "/ws/up/x"),
        ("./up", "../x", "/ws/pack/x"),
        ("https://h/org", "/abs", "/abs"),
        ("https://h/org", "git@g:x", "git@g:x"),
    ],
)
def test_a_relative_address_follows_its_base(base: str, text: str, resolved: str) -> None:
    assert parse_url(text, base=base, relative_to=Path("/ws/pack")).resolved == resolved


@pytest.mark.parametrize(
    ("base", "text", "reason"),
    [
        ("https://h/org", "../../x", "climbs out of the base"),
        ("git@h:org", "../../x", "climbs out of the base"),
        ("https://h/org", "..", "names no repository"),
        ("https://h/org?a=b", "x", "is relative to a base that has a query"),
        ("ext::sh", "x", "names the remote helper 'ext::', and helpers run programs"),
        ("org", "x", "is neither an address nor relative to one"),
        ("https://h/org", "x\x00", "holds a control character"),
        ("git@h:-o", "../-x", "has a path that starts with '-'"),
    ],
)
def test_a_relative_address_cannot_leave_or_bend_its_base(base: str, text: str, reason: str) -> None:
    with pytest.raises(InvalidUrlError) as caught:
        parse_url(text, base=base)
    assert caught.value.reason == reason


def test_without_a_base_a_dotted_address_starts_at_the_declaring_directory() -> None:
    assert parse_url("../up/x", relative_to=Path("/ws/pack")).resolved == "/ws/up/x"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("git@github.com:org/repo.git", "ssh://git@GitHub.com:22/org/repo"),
        ("git@github.com:org/repo", "github.com:/org/repo/"),
        ("https://u:p@Host/x.git", "https://host:443/x/"),
        ("https://host/x?access_token=a", "https://host/x"),
        ("https://host./a%2Db", "https://host/a-b"),
    ],
)
def test_spellings_of_one_repository_are_identical(one: str, other: str) -> None:
    assert parse_url(one).identity == parse_url(other).identity


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://host/x", "https://host/X"),
        ("https://host/x", "https://host:8443/x"),
        ("https://host/x", "ssh://host/x"),
        ("https://host/x?a=1", "https://host/x?a=2"),
    ],
)
def test_different_repositories_are_not_identical(one: str, other: str) -> None:
    assert parse_url(one).identity != parse_url(other).identity


def test_local_spellings_are_identical_where_they_lead_to_one_directory(tmp_path: Path) -> None:
    bare = tmp_path / "up.git"
    bare.mkdir()
    (tmp_path / "link").symlink_to(bare)
    (tmp_path / "tree" / ".git").mkdir(parents=True)
    spellings = [str(bare), f"{tmp_path}/up", f"file://{tmp_path}/link", f"{tmp_path}/tree/../up.git/"]
    assert {parse_url(text).identity for text in spellings} == {f"file://{bare}"}
    assert parse_url(f"{tmp_path}/tree/.git").identity == parse_url(f"{tmp_path}/tree").identity


def test_the_directories_of_a_local_repository_are_looked_at_once(tmp_path: Path) -> None:
    (tmp_path / "up").mkdir()
    url, other = parse_url(f"{tmp_path}/up"), parse_url(f"{tmp_path}/up")
    found = url.identity
    (tmp_path / "up").rename(tmp_path / "moved")
    (tmp_path / "up").symlink_to(tmp_path / "moved")
    assert url.identity == found
    assert other.identity != found
    assert url == other
    assert hash(url) == hash(other)


def test_a_bare_repository_and_a_directory_beside_it_are_two(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x.git").mkdir()
    assert parse_url(f"{tmp_path}/x").identity != parse_url(f"{tmp_path}/x.git").identity


def test_only_plain_http_to_another_machine_is_warned_about() -> None:
    assert parse_url("http://u:p@host/x").warning == (
        "'http://***@host/x' is fetched without encryption, so anyone on the way can change it"
    )
    quiet = ["http://localhost/x", "http://127.0.0.1:80/x", "http://[::1]/x", "http://a.localhost/x", "https://host/x"]
    assert [parse_url(text).warning for text in quiet] == [None] * 5
    assert parse_url("http://127.0.0.1.evil.example/x").warning is not None


def test_a_repr_does_not_give_the_credentials_away() -> None:
    url = parse_url("https://user:s3cret@host/x?token=s3cret")
    shown = f"{url!r} {url} {url.redacted} {url.identity}"
    assert "s3cret" not in shown
    assert "user" not in shown


_SECRET = st.text(alphabet="abcXYZ019-._~!$&'()*+,;=%", min_size=1, max_size=30).map(lambda text: f"Q7{text}7Q")


@given(_SECRET, _SECRET)
def test_whatever_becomes_of_a_url_its_password_is_not_shown(user: str, password: str) -> None:
    try:
        url = parse_url(f"https://{user}:{password}@host/x")
        shown = f"{url!r} {url.identity} {url.warning}"
    except InvalidUrlError as error:
        shown = f"{error} {error.hint}"
    assert password not in shown


@given(st.text(alphabet=st.characters(), max_size=60), st.none() | st.sampled_from(["https://h/o", "git@h:o", "/srv"]))
def test_no_text_makes_the_parser_crash(text: str, base: str | None) -> None:
    try:
        url = parse_url(text, base=base)
    except InvalidUrlError as error:
        str(error).encode()
    else:
        assert not url.resolved.startswith("-")
        check_pack_path(url.default_name)
        url.identity.encode()


_SEGMENT = st.text(alphabet="abcABC019-_.", min_size=1, max_size=8).filter(lambda text: text.strip("./-"))


@given(
    st.sampled_from(["https://{h}/{p}", "ssh://git@{h}/{p}", "git@{h}:{p}", "/{h}/{p}", "file:///{h}/{p}"]),
    st.text(alphabet="abc019", min_size=2, max_size=8),
    st.lists(_SEGMENT, min_size=1, max_size=4),
)
def test_what_was_parsed_parses_to_itself(form: str, host: str, path: list[str]) -> None:
    url = parse_url(form.format(h=host, p="x" + "/".join(path)))
    again = parse_url(url.resolved)
    assert again == url
    assert isinstance(again, PackUrl)
    assert redact(url.redacted) == url.redacted


@pytest.mark.parametrize(
    "text",
    [
        "https://host/team/../other/x",
        "https://host/team/./x",
        "https://host/team/%2e%2e/other/x",
        "https://host/team/.%2E/other/x",
        "https://host/team%2F..%2Fother/x",
        "https://host/team/..%5Cother/x",
        "https://host/team/..",
        "ssh://git@host/team/../other/x",
        "git@host:team/../other/x",
        "host:../other/x",
    ],
)
def test_an_address_on_a_host_cannot_climb_out_of_the_prefix_that_it_shows(text: str) -> None:
    """Trust goes by prefixes of the address, and curl and servers resolve `..`: `team/..` would be somebody else's."""
    with pytest.raises(InvalidUrlError, match=r"holds the segment '\.' or '\.\.'"):
        parse_url(text)


def test_a_relative_address_may_still_climb_within_its_base() -> None:
    assert parse_url("../x", base="https://host/team/sub").resolved == "https://host/team/x"


def test_dots_that_are_part_of_a_name_or_of_a_query_are_no_segments() -> None:
    for text in ("https://host/a..b/x.git", "https://host/...x/y", "https://host/x?p=a/../b", "git@host:a..b/x"):
        assert parse_url(text).resolved == text


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("git@h:team/x", "ssh://h/team/x", True),
        ("mallory@h:team/x", "git@h:team/x", False),
        ("ssh://mallory@h/team/x", "mallory@h:team/x.git", True),
        ("https://a:b@h/team/x", "https://h/team/x", True),
    ],
)
def test_trust_tells_the_homes_of_two_users_of_one_host_apart(one: str, other: str, is_same: bool) -> None:
    assert (parse_url(one).trust_key == parse_url(other).trust_key) is is_same
    assert parse_url(one).identity == parse_url(other).identity


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("https://ada:pw@h:8443/x", "https://h:8443/x"),
        ("https://token@h/x@y", "https://h/x@y"),
        ("https://h/x", "https://h/x"),
        ("git@h:x", "git@h:x"),
        ("ssh://ada@h/x", "ssh://ada@h/x"),
    ],
)
def test_the_plain_address_has_no_credentials_and_keeps_the_login_of_ssh(text: str, plain: str) -> None:
    assert parse_url(text).plain == plain
