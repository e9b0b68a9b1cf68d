"""What stands at https://example.com/team/ when a page begins."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tests.support.pages import Command, House

__all__ = ["UPSTREAMS", "prepare"]


def _dotfiles(house: House) -> None:
    """Two homes with a `.vimrc`, and two repositories."""
    house.server.create("dotfiles", {"README.md": "My dotfiles\n"})
    house.server.create("machine")
    (house.home("ada") / ".vimrc").write_text("set number\n")
    (house.home("ben") / ".vimrc").write_text("set ruler\n")
    for person in ("ada", "ben"):
        (house.home(person) / ".bashrc").write_text("alias ll='ls -l'\n")


def _ros_workspace(house: House) -> None:
    """A `.repos` file in the home, and what it lists."""
    house.server.create("arm_driver", {"arm.yaml": "speed: 1\n"})
    house.server.create("navigation", {"package.xml": "<package/>\n"})
    house.server.tag("navigation", "1.2.0")
    house.server.commit("navigation", {"package.xml": "<package format='3'/>\n"})
    house.server.tag("navigation", "1.3.0")
    (house.home() / "robot.repos").write_text(
        "repositories:\n"
        "  drivers/arm_driver:\n    type: git\n"
        "    url: https://example.com/team/arm_driver.git\n    version: main\n"
        "  navigation:\n    type: git\n"
        "    url: https://example.com/team/navigation.git\n    version: 1.2.0\n"
    )


def _firmware(house: House) -> None:
    """A manifest repository of west, and the projects that it lists."""
    for name in ("app", "hal", "docs"):
        house.server.create(name, {f"{name}.c": f"int {name};\n"})
    house.server.tag("hal", "v2.1")
    house.server.commit("hal", {"hal.c": "int hal = 1;\n"}, branch="fix-reset")
    house.server.create(
        "manifest",
        {
            "west.yml": "manifest:\n"
            "  remotes:\n    - name: team\n      url-base: https://example.com/team\n"
            "  defaults: {remote: team, revision: main}\n"
            "  group-filter: [-docs]\n"
            "  projects:\n    - {name: app, repo-path: app.git}\n"
            "    - {name: hal, repo-path: hal.git, path: modules/hal, revision: v2.1}\n"
            "    - {name: docs, repo-path: docs.git, groups: [docs]}\n"
        },
    )


def _shop(house: House) -> None:
    """A library, two services that come after it (a test of one fails), load tests, an empty repository."""
    after = 'schema_version: "1"\nname: {}\ntype: plain\ndepends_on: [common]\n'
    house.server.create(
        "common",
        {".grex/pack.yaml": 'schema_version: "1"\nname: common\ntype: plain\n', "Makefile": "test:\n\t@echo fine\n"},
    )
    for name, command in (("api", "true"), ("web", "false")):
        house.server.create(
            name,
            {
                ".grex/pack.yaml": after.format(name),
                "Makefile": f"test:\n\t@{command}\n",
                f"{name}.txt": "version 1\n",
            },
        )
    house.server.create("shop")
    house.server.create("load-tests", {"README.md": "Load tests\n"})


def _committed_shop(house: House) -> None:
    """The services, and the repository of a workspace with its lockfile."""
    _shop(house)
    shop = {
        ".grex/pack.yaml": 'schema_version: "1"\nname: shop\ntype: meta\ndefaults:\n'
        "  base: https://example.com/team\n  ref: main\nchildren:\n"
        "  - {url: common.git, path: libs/common}\n"
        "  - {url: api.git, path: services/api}\n"
        "  - {url: web.git, path: services/web}\n"
    }
    house.server.commit("shop", shop)
    grex = "git clone --quiet https://example.com/team/shop.git && cd shop && grex sync --quiet"
    for command in (grex, "git add . && git commit --quiet --message Lock && git push --quiet"):
        code, said = house.type(Command("eve", command, [], 0, 0))
        assert code == 0, said


UPSTREAMS: Mapping[str, Callable[[House], None]] = {
    "agents": _committed_shop,
    "ci": _committed_shop,
    "dotfiles": _dotfiles,
    "firmware": _firmware,
    "micro-services": _shop,
    "ros-workspace": _ros_workspace,
    "seeing-a-run": _committed_shop,
    "several-agents": _committed_shop,
}


def prepare(page: str, house: House) -> None:
    """Set up what a page of this name begins with, if that is anything."""
    if page in UPSTREAMS:
        UPSTREAMS[page](house)
