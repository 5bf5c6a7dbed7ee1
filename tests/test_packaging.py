"""What is declared in several places agrees, and what is installed is complete."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
LOCKED = {
    "app": ("app",),
    "workshop": ("app", "train", "evaluate"),
    "dev": ("app", "train", "evaluate", "musicxml", "test"),
}
CONDA_NAMES = {"pysoundfile": "soundfile", "soxr-python": "soxr", "pytorch": "torch"}
PYTHONS = ("3.10", "3.11", "3.12", "3.13")


def requirements(*extras: str) -> list[Requirement]:
    return [Requirement(text) for text in [*PROJECT["dependencies"], *(r for extra in extras for r in EXTRAS[extra])]]


def lines(name: str) -> list[str]:
    """The requirements of a file, each with its sums."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text().replace("\\\n", " ")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def pins(name: str, python: str, platform: str = "linux") -> dict[str, str]:
    """Package to version for a Python, from a file of pinned versions; torch, which stands apart, with them."""
    result: dict[str, str] = {}
    for line in [*lines(name), *(lines("torch") if name != "app" else [])]:
        requirement = Requirement(line.split(" --hash")[0])
        where = {"python_version": python, "python_full_version": f"{python}.7", "sys_platform": platform}
        if requirement.marker and not requirement.marker.evaluate(where):
            continue
        (specifier,) = requirement.specifier
        assert specifier.operator == "==", f"{line} is not pinned"
        key = canonicalize_name(requirement.name)
        assert key not in result, f"{key} is pinned twice for Python {python}"
        result[key] = specifier.version
    return result


@pytest.mark.parametrize("name", LOCKED)
def test_every_file_that_is_installed_has_a_sum(name: str) -> None:
    for line in lines(name):
        assert re.search(r"--hash=sha256:[0-9a-f]{64}(\s|$)", line), line.split("--hash")[0]


@pytest.mark.parametrize("name", LOCKED)
def test_what_is_pinned_needs_nothing_that_is_not(name: str) -> None:
    """Installation follows no dependencies: the list must be complete, here as far as it is installed."""
    from importlib.metadata import PackageNotFoundError, requires

    pinned = pins(name, ".".join(map(str, sys.version_info[:2])))
    for package in pinned:
        try:
            needed = [Requirement(text) for text in requires(package) or ()]
        except PackageNotFoundError:
            continue
        for requirement in needed:
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                key = canonicalize_name(requirement.name)
                own = package == "torch" and key.startswith(("nvidia-", "cuda-", "triton"))
                assert own or key in pinned, f"{package} needs {key}; run make lock"


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("name", LOCKED)
def test_every_requirement_is_pinned_as_pyproject_allows(name: str, python: str) -> None:
    pinned = pins(name, python)
    for requirement in requirements(*LOCKED[name]):
        key = canonicalize_name(requirement.name)
        assert key in pinned, f"requirements/{name}.txt does not pin {key}; run make lock"
        assert requirement.specifier.contains(pinned[key]), f"{key}=={pinned[key]} is not {requirement.specifier}"


def test_the_app_has_the_same_pins_in_both_sets() -> None:
    for python in PYTHONS:
        app, dev = pins("app", python), pins("dev", python)
        assert {k: dev.get(k) for k in app} == app


def test_the_app_needs_no_torch() -> None:
    for python in PYTHONS:
        assert not {"torch", "torchaudio", "lightning-fabric"} & set(pins("app", python))


def test_nothing_but_the_gpu_extra_pulls_in_torchaudio() -> None:
    for extra, texts in EXTRAS.items():
        assert any("torchaudio" in t for t in texts) == (extra == "gpu")
    assert all("torchaudio" not in pins("dev", python) for python in PYTHONS)


def test_conda_environment_agrees_with_pyproject() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert environment["name"] == PROJECT["name"]
    assert environment["channels"] == ["conda-forge"]
    declared = {canonicalize_name(r.name): r.specifier for r in requirements("app", "train", "evaluate", "gpu")}
    conda = [d for d in environment["dependencies"] if isinstance(d, str)]
    compared = set()
    for text in conda:
        name, _, _ = re.match(r"([\w-]+)(.*)()", text).groups()  # type: ignore[union-attr]
        if name == "python":
            assert text.removeprefix("python").split(",")[0] == PROJECT["requires-python"]
        elif name not in ("pip", "fluidsynth"):
            key = canonicalize_name(CONDA_NAMES.get(name, name))
            assert key in declared, f"{name} is in environment.yml, and not in pyproject.toml"
            assert Requirement(text).specifier == declared[key], f"{name}: {text} is not {declared[key]}"
            compared.add(key)
    assert {"fluidsynth", "pip"} <= set(conda)
    # What conda does not bring, pip does with the package itself; the large compiled ones had better come from conda.
    assert {"torch", "torchaudio", "numpy", "scipy", "onnxruntime", "soundfile", "soxr", "av", "jupyterlab"} <= compared
    (pip,) = (d["pip"] for d in environment["dependencies"] if isinstance(d, dict))
    assert pip == ["-e .[app,train,evaluate]"]


def test_this_environment_is_the_pinned_one() -> None:
    from importlib.metadata import PackageNotFoundError, version

    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    if not (ROOT / ".venv" / ".installed-dev").exists():
        pytest.skip("not the environment that make test makes")
    for name, pinned in pins("dev", python).items():
        try:
            installed = version(name)
        except PackageNotFoundError:
            continue  # for another platform
        assert installed.split("+")[0] == pinned, f"{name} {installed} is installed, {pinned} is pinned"


def test_version_and_licence() -> None:
    import amtsep

    assert amtsep.__version__ == PROJECT["version"]
    assert PROJECT["license"] == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text()
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert (citation["version"], citation["license"]) == (PROJECT["version"], "Apache-2.0")


def test_makefile_and_ci_name_only_what_exists() -> None:
    listed = subprocess.run(
        ["make", "-n", "test", "lint", "dashboard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for script in set(re.findall(r"tools/[\w.]+", listed.stdout + (ROOT / ".ci" / "run").read_text())):
        path = ROOT / script
        assert path.is_file() and path.stat().st_mode & 0o111
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111


def test_shell_scripts_parse() -> None:
    for script in [*(ROOT / "tools").glob("*.sh"), ROOT / ".ci" / "run"]:
        subprocess.run(["sh", "-n", str(script)], check=True)


def test_a_wheel_holds_models_app_and_notebooks(tmp_path: Path) -> None:
    """Built as pip would, without the network, and from a copy, so that nothing is left in the checkout."""
    copy = tmp_path / "copy"
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    if not files:
        pytest.skip("not a git checkout")
    for name in filter(None, files.split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((ROOT / name).read_bytes())
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(tmp_path),
        str(copy),
    ]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr[-2000:]
    (wheel,) = tmp_path.glob("amtsep-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = {"amtsep/cli.py", "amtsep/py.typed", "widgets/__main__.py"}
    tracked = files.split("\0")
    # Trainings that go on are for a checkout, not for an installation.
    expected |= {"amtsep/" + n for n in tracked if n.startswith("models/") and not n.startswith("models/training/")}
    assert not [n for n in names if "models/training" in n]
    expected |= {"widgets/" + n for n in tracked if n.startswith("notebooks/") and not Path(n).name.startswith(".")}
    expected |= {n for n in tracked if n.startswith("widgets/static/")}
    assert not expected - names
    assert not [n for n in names if n.startswith(("tests/", "benchmarks/", "notebooks/", "models/", "web/"))]
    # The static page needs the checkout around it: half of it would be a broken page.
    assert not [n for n in names if "/web/" in n]
    assert wheel.stat().st_size < 40e6


def test_the_light_library_imports_without_the_rest() -> None:
    """Transcribing, clustering and writing files must not need torch or anything of an extra."""
    code = """
import importlib, sys
blocked = 'torch torchaudio lightning_fabric safetensors onnx music21 mir_eval ipywidgets librosa'.split()
for name in blocked:
    sys.modules[name] = None
for name in ('audio', 'cli', 'config', 'decoding', 'errors', 'formats', 'inference', 'notes', 'pipeline', 'posteriors'):
    importlib.import_module(f'amtsep.{name}')
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


RUN_NOT_IMPORTED = {"voila", "jupyterlab", "ipykernel", "tensorboard", "anywidget"}
"""Programs that are started, and what others of ours import for us."""


def test_every_declared_dependency_is_imported_where_it_is_declared_for() -> None:
    names = {
        "scikit-learn": "sklearn",
        "pyyaml": "yaml",
        "lightning-fabric": "lightning_fabric",
        "mir-eval": "mir_eval",
    }
    text = {
        room: "\n".join(p.read_text(encoding="utf-8") for p in (ROOT / room).rglob("*.py"))
        for room in ("amtsep", "widgets")
    }
    everything = "\n".join(text.values())
    light = "\n".join(
        p.read_text(encoding="utf-8")
        for p in [*(ROOT / "amtsep").rglob("*.py"), *(ROOT / "widgets").rglob("*.py")]
        if not {"evaluation", "training", "synthesis", "nets"} & set(p.parts)
    )
    for extra, where in ((None, light), ("app", everything), ("evaluate", everything), ("train", everything)):
        for text_of in PROJECT["dependencies"] if extra is None else EXTRAS[extra]:
            name = canonicalize_name(Requirement(text_of).name)
            module = names.get(name, name.replace("-", "_"))
            used = re.search(rf"(?:^\s*(?:import|from) |import_module\(\"|find_spec\(\"){module}\b", where, re.M)
            assert used or module in RUN_NOT_IMPORTED, f"{name} is declared ({extra or 'always'}) and never imported"
