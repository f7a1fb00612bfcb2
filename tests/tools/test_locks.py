"""locks/*.txt, from which `make` installs, are what the ranges allow (https://packaging.pypa.io), everywhere."""

import re

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement

from tests.support import ROOT

PLATFORMS = [
    dict(sys_platform="linux", platform_system="Linux", platform_machine=machine, python_version=version)
    | dict(python_full_version=f"{version}.9", implementation_name="cpython", platform_python_implementation="CPython")
    for machine in ("x86_64", "aarch64")
    for version in ("3.11", "3.12", "3.13")
]


def read(path):
    """A file of requirements, and those that it names -> [Requirement]"""
    for line in path.read_text().splitlines():
        line = re.sub(r"(^|\s)#.*", "", line).strip()
        if other := re.fullmatch(r"-[rc] (.+)", line):
            yield from read(path.parent / other[1])
        elif line:
            yield Requirement(line)


@pytest.mark.parametrize("platform", PLATFORMS, ids=lambda it: f"{it['platform_machine']} {it['python_version']}")
@pytest.mark.parametrize(
    ("ranges", "lock"),
    [
        ("locks/lab.in", "lab.txt"),
        ("requirements-v3.txt", "v3.txt"),
        ("locks/docs.in", "docs.txt"),
    ],
)
def test_one_version_of_all_that_is_asked_for(ranges, lock, platform):
    def here(requirement):
        return requirement.marker is None or Marker(str(requirement.marker)).evaluate(platform)

    locked = [requirement for requirement in read(ROOT / "locks" / lock) if here(requirement)]
    versions = {requirement.name: re.fullmatch(r"==([^*]+)", str(requirement.specifier))[1] for requirement in locked}
    assert len(versions) == len(locked) > 50
    for requirement in filter(here, read(ROOT / ranges)):
        # of container.txt, which narrows others and is installed by itself
        if requirement.name != "sagemaker-tensorflow-training":
            assert versions[requirement.name] in requirement.specifier, f"{requirement}: run `make locks`"
