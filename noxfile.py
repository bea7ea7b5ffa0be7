"""The checks of aiocake: ``nox`` runs all of them, ``nox -s NAME`` one."""

import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import randrange

import nox

ROOT = Path(__file__).parent
PYPROJECT = nox.project.load_toml("pyproject.toml")
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
# Also on a Python that is newer than all of these, where a newcomer has no other.
PYTHONS = list(dict.fromkeys([*nox.project.python_versions(PYPROJECT), HERE]))
SMOKE = ROOT / "tests" / "smoke" / "installed.py"
PACKAGE = ".[cli,otel,sandbox]"


def runs(version: str) -> bool:
    """Return whether a Python can be run: a shim of pyenv may be on the path without one."""
    found = shutil.which(f"python{version}")
    if found is None:
        return False
    tried = subprocess.run([found, "--version"], capture_output=True, check=False)  # noqa: S603 - a Python
    return tried.returncode == 0


#: The newest Python that is on the machine.
NEWEST = next((each for each in reversed(PYTHONS) if runs(each)), HERE)
#: What runs for minutes or hours of simulated time: on the newest Python, in ``thorough``.
SIMULATED = (
    "tests/simulated",
    "tests/transport/test_pace.py",
    "tests/transport/test_retry.py::test_an_outage_is_not_multiplied",
    "tests/scorecard/test_throttled.py::test_a_full_outage",
    "tests/scorecard/test_lists.py::test_a_month_end_beside_somebody_who_changes_an_invoice_each_second",
)
#: What says the same on each Python, and is said once, on the newest one: random faults against a
#: server that keeps books, responses of every kind, killed engines, and the list of mutants.
ONCE = (
    "tests/campaign",
    "tests/examples/test_engines.py",
    "tests/fuzz",
    "tests/journals",
    "tests/mutants",
    *(f"tests/scorecard/test_{each}.py" for each in ("json", "lists", "throttled", "xml")),
    # How a terminal, a shell and a file system behave.
    *(f"tests/cli/test_{each}.py" for each in ("completion", "guide", "output", "terminal")),
)
#: What is about the network, and where it runs on uvloop. What lies between the oldest Python and
#: the newest one seldom differs from both: there, what else runs is what moves money.
NETWORK = ("tests/transport", "tests/scorecard")
ON_UVLOOP = "3.12"
MONEY = ("tests/bulk", "tests/client", "tests/monthend", "tests/pipeline")
#: Lines are counted at next to no cost, but 3.11 cannot; branches cost as much as the tests.
QUICKLY = {"COVERAGE_CORE": "sysmon"} if tuple(map(int, NEWEST.split("."))) >= (3, 12) else {}
#: Each worker would compile all tests, where the environment keeps Python from storing them.
COMPILED = {"PYTHONDONTWRITEBYTECODE": ""}
MEASURED = ("--cov", "--cov-report=", "--cov-fail-under=0")
WORKERS = ("--numprocesses=3",)


def without(*paths: str) -> list[str]:
    """The arguments with which pytest leaves out files and folders, or single tests."""
    return [f"--{'deselect' if '::' in each else 'ignore'}={each}" for each in paths]


nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.sessions = [
    "lint",
    "types",
    "docs",
    "package",
    "tests",
    "thorough",
    "compatibility",
    "coverage",
]
# The tests run on the supported Pythons that the machine has; none is fetched for them.
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False


def group(name: str) -> tuple[str, ...]:
    """The requirements of a dependency group."""
    return nox.project.dependency_groups(PYPROJECT, name)


def everything() -> tuple[str, ...]:
    """What any test may need; the quick part of them needs only ``tests``."""
    return *group("tests"), *group("integrations")


def part(session: nox.Session, name: str, *workers: str) -> None:
    """Run a part of the tests, and keep which lines it covers for the session ``coverage``."""
    for old in ROOT.glob(f".coverage.{name}*"):
        old.unlink()
    env = {"COVERAGE_FILE": f".coverage.{name}", **QUICKLY, **COMPILED}
    session.run("pytest", *MEASURED, *workers, "--part", name, env=env)


@nox.session(python=NEWEST)
def tests(session: nox.Session) -> None:
    """Run the quick part of the tests against the built package; arguments go to pytest.

    This runs on the newest Python that the machine has. What takes long, what starts programs and
    what repeats on trio is run by ``thorough``; ``compatibility`` runs on the other Pythons. With
    arguments, all tests that they name run, of either part.
    """
    if session.posargs:
        session.install(PACKAGE, *everything())
        session.run("pytest", *WORKERS, *session.posargs)
        return
    session.install(PACKAGE, *group("tests"))
    # It waits for nothing but processors: as many processes as these.
    part(session, "quick", "--numprocesses=auto", "--maxprocesses=8")


@nox.session(python=NEWEST)
def thorough(session: nox.Session) -> None:
    """Run all tests that ``tests`` leaves out; arguments go to pytest.

    These are outages and waits on a simulated clock, what is drawn or done at random, processes,
    terminals, servers and other libraries, and on trio what ``tests`` runs on asyncio alone.
    """
    session.install(PACKAGE, *everything())
    if session.posargs:
        session.run("pytest", *WORKERS, *session.posargs)
        return
    part(session, "thorough", *WORKERS)


@nox.session(python=[each for each in PYTHONS if each != NEWEST])
def compatibility(session: nox.Session) -> None:
    """Run the tests on the other Pythons; arguments go to pytest.

    Generated examples are fewer here, and what does not differ between Pythons is left out. On one
    of them, what is about the network runs on uvloop instead.
    """
    session.install(PACKAGE, *everything())
    env = {"AIOCAKE_EXAMPLES": "few", **COMPILED}
    left_out = [*SIMULATED, *ONCE]
    if session.python == ON_UVLOOP and not session.posargs:
        what = ("--uvloop", "-k", "not trio", *NETWORK, *without(*left_out))
        session.run("pytest", *WORKERS, *what, env=env)
        session.run("pytest", *WORKERS, *MONEY, env=env)
        return
    session.run("pytest", *WORKERS, *(session.posargs or without(*left_out)), env=env)


@nox.session(python=NEWEST)
def branches(session: nox.Session) -> None:
    """Run the tests, and refuse less than the minimum of branches covered: slower by half."""
    session.install(PACKAGE, *everything())
    # Apart from the lines, with which branches cannot be combined.
    env = {"COVERAGE_FILE": str(ROOT / session.create_tmp() / ".coverage")}
    session.run("coverage", "erase", env=env)
    session.run("pytest", *MEASURED, "--cov-branch", *WORKERS, env=env)
    session.run("coverage", "combine", env=env)
    session.run("coverage", "report", "--fail-under=95", env=env)


@nox.session
def campaign(session: nox.Session) -> None:
    """Break 400 calls of each kind of write at a random byte; ``-- --seed N`` repeats one.

    An outage of an hour, in simulated time, is part of it.
    """
    session.install(PACKAGE, *everything())
    what = ["tests/campaign", "tests/simulated", "--seeds", "400", "--outage", "3600"]
    if "--seed" in session.posargs:
        what = ["tests/campaign/test_random_faults.py"]
    session.run("pytest", "--numprocesses=auto", "--maxprocesses=4", *what, *session.posargs)


@nox.session
def crash(session: nox.Session) -> None:
    """Kill 400 runs of creates, and try 600 orders of events; ``-- --crash-seed N`` repeats one.

    Before that, 50 times each, two runs of one plan at once: on one host, one of them killed, and
    on two hosts. After it, 600 orders of plan, approve, apply, kill, resume and change.
    """
    session.install(PACKAGE, *everything())
    chosen = ("--crash-seed", str(randrange(1 << 16)))  # noqa: S311 - no secret
    amounts = ("--kills", "100", "--orders", "300", "--pairs", "50")
    workers = ("--numprocesses=auto", "--maxprocesses=4")
    what = ("tests/crash", "tests/monthend/test_any_order.py")
    session.run("pytest", *what, "--quiet", *amounts, *workers, *chosen, *session.posargs)


@nox.session
def engines(session: nox.Session) -> None:
    """Run what is inside of engines: DBOS, procrastinate, Temporal, and Celery, too."""
    session.install(PACKAGE, *everything(), *group("engines"))
    session.run("pytest", "tests/examples/test_engines.py", *session.posargs)


@nox.session
def journals(session: nox.Session) -> None:
    """Try each fault 100 times on runs in PostgreSQL, then through PgBouncer; ``-- --times 9``.

    Processes are killed and stopped at each stage of a create, servers restarted, connections
    ended, commits lost; two processes have one plan, and two plans are of one partner. What was
    created twice, is missing or was left behind is counted.
    """
    session.install(PACKAGE, *everything())
    # They wait most of the time, for leases to end: more of them than processors.
    what = ("tests/journals", "--quiet", "--numprocesses=8", "--times", "100")
    for way in ((), ("--bouncer",)):
        session.run("pytest", *what, *way, *session.posargs)


@nox.session
def monthend(session: nox.Session) -> None:
    """Carry 10,000 invoices through a month end by the commands; ``-- --month-end N``: fewer.

    They are planned, approved and paid, by processes that are killed, while answers are lost and
    somebody else voids some; then they are audited.
    """
    session.install(PACKAGE, *everything())
    what = ("tests/monthend/test_month_end.py", "--month-end", "10000")
    session.run("pytest", "--quiet", *what, *session.posargs)


@nox.session
def scorecard(session: nox.Session) -> None:
    """Try every fault on both backends, and print how each case ended."""
    session.install(PACKAGE, *everything())
    session.run(
        "pytest",
        "tests/scorecard",
        "--scorecard",
        "--numprocesses=auto",
        "--maxprocesses=4",
        "--quiet",
        *session.posargs,
    )


@nox.session
def loops(session: nox.Session) -> None:
    """Try the transport and every fault on uvloop, and as on event loops that watch no sockets."""
    session.install(PACKAGE, *everything())
    what = [*NETWORK, "-k", "not trio", *session.posargs]
    for option in ("--uvloop", "--pulling"):
        session.run("pytest", option, *WORKERS, *what)


@nox.session
def coverage(session: nox.Session) -> None:
    """Combine what ``tests`` and ``thorough`` covered, and refuse less than the minimum."""
    for name in ("quick", "thorough"):
        if not any(ROOT.glob(f".coverage.{name}*")):
            session.error("run all of them: nox -s tests thorough coverage")
    session.install("coverage")
    session.run("coverage", "combine")
    session.run("coverage", "report")


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, format and the contracts of the layers."""
    session.install("-e", PACKAGE, *group("lint"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("lint-imports", "--no-logo", "--no-cache")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types, strictly, with two checkers; and the public ones with two more.

    Every public name must have a type that is declared, so that no checker has to guess it.
    """
    session.install("-e", PACKAGE, *everything(), *group("types"))
    # Each has one processor to itself; the longest first.
    checks = (
        ("pyright", "--warnings"),
        ("mypy",),
        ("pyright", "--verifytypes", "aiocake", "--ignoreexternal"),
        ("python", "tests/typing/agree.py"),
    )
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda check: session.run(*check), checks))


@nox.session
def api(session: nox.Session) -> None:
    """Look for changes of the public API that break a user's code: since the last release, if any.

    Before the first release, public names are compared with those that are written down.
    """
    tagged = session.run("git", "tag", "--list", "v*", external=True, silent=True)
    if tagged:
        session.install("-e", PACKAGE, *group("api"))
        session.run("griffe", "check", "aiocake", "--search", "src")
    else:
        session.install("-e", PACKAGE, *group("tests"))
        session.run("pytest", "-q", "tests/test_public_api.py", "tests/endpoints/test_wire.py")


@nox.session(python=NEWEST)
def docs(session: nox.Session) -> None:
    """Build the site into site/, strictly; ``-- serve`` shows it while you write.

    A link, an anchor or a name of the package that leads nowhere fails, and so does a page that
    loads anything from another host. Nothing of the package is imported.
    """
    session.install(*group("docs"))
    if session.posargs:
        session.run("zensical", *session.posargs)
        return
    session.run("zensical", "build", "--clean", "--strict")
    session.run("python", "docs/finish.py")


@nox.session
def package(session: nox.Session) -> None:
    """Build the package, then use it as a stranger does: installed, away from this tree."""
    session.install(*group("package"))
    use(session, build(session))


@nox.session(name="release-check")
def release_check(session: nox.Session) -> None:
    """Check that this commit can be released; ``-- v0.2.0`` names the tag that it is to get.

    What is built, to be uploaded, is in ``.nox/release-check/tmp/dist``.
    """
    session.install(*group("package"), *group("workflows"))
    dist = build(session)
    session.run("python", "tests/smoke/release.py", str(dist), *session.posargs)
    use(session, dist)
    session.run("zizmor", "--offline", "--persona=pedantic", ".github")
    config = ROOT / ".github" / "ISSUE_TEMPLATE" / "config.yml"
    forms = [path for path in sorted(config.parent.glob("*.yml")) if path != config]
    for schema, paths in {
        "github-workflows": sorted((ROOT / ".github" / "workflows").glob("*.yml")),
        "github-issue-forms": forms,
        "github-issue-config": [config],
        "dependabot": [ROOT / ".github" / "dependabot.yml"],
    }.items():
        session.run("check-jsonschema", f"--builtin-schema=vendor.{schema}", *map(str, paths))


def build(session: nox.Session) -> Path:
    """Build wheel and source archive, and check how they are shown; return their folder."""
    dist = ROOT / session.create_tmp() / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    session.run("python", "-m", "build", "--outdir", str(dist))
    session.run("twine", "check", "--strict", *map(str, sorted(dist.iterdir())))
    return dist


def use(session: nox.Session, dist: Path) -> None:
    """Install the wheel with each extra, away from this tree, and use it."""
    (wheel,) = dist.glob("*.whl")
    with tempfile.TemporaryDirectory() as away, session.chdir(away):
        for extra in ("", "sandbox", "cli", "otel"):
            environment = Path(away) / f"env-{extra}"
            session.run("python", "-m", "virtualenv", "--quiet", str(environment))
            python = str(environment / "bin" / "python")
            wanted = f"{wheel}[{extra}]" if extra else str(wheel)
            session.run(python, "-m", "pip", "install", "--quiet", wanted, external=True)
            session.run(python, "-I", str(SMOKE), extra, external=True)


# On Linux, where atheris has wheels: for each of the Pythons that are supported.
@nox.session(python=NEWEST)
def fuzz(session: nox.Session) -> None:
    """Try attacks, then fuzz each reader for a minute; ``nox -s fuzz -- 10``: for ten seconds.

    Between the two, the tests with generated examples run with ten times as many.
    """
    session.install("-e", PACKAGE, *everything(), *group("fuzz"))
    session.run("python", "fuzz/attacks.py")
    session.run("pytest", *WORKERS, "-m", "hypothesis", env={"AIOCAKE_EXAMPLES": "many"})
    session.run("python", "fuzz/run.py", *(session.posargs or ["60"]))


@nox.session
def mutation(session: nox.Session) -> None:
    """Change what decides about money a little, and see that the tests notice each change."""
    session.install("-e", PACKAGE, *everything(), *group("mutation"))
    shutil.rmtree(ROOT / "mutants", ignore_errors=True)
    session.run("python", "tests/mutants/run.py")


@nox.session(python=NEWEST)
def bench(session: nox.Session) -> None:
    """Measure aiocake beside its rivals; ``nox -s bench -- NAME``: one benchmark.

    ``nox -s bench -- NAME --rounds 3`` is a look, by which nothing is judged or stored.
    """
    session.install("-e", PACKAGE, *group("bench"))
    session.run("python", "-m", "benchmarks", "run", *session.posargs)


@nox.session(name="bench-plots", python=NEWEST)
def bench_plots(session: nox.Session) -> None:
    """Draw the stored figures of ``bench`` into README.md and docs/."""
    session.install("-e", PACKAGE, *group("bench"))
    session.run("python", "-m", "benchmarks", "plots")


@nox.session(name="bench-guard", python=NEWEST)
def bench_guard(session: nox.Session) -> None:
    """Count instructions, and refuse 10 % more than are kept; ``-- --update`` keeps them."""
    if NEWEST == "3.11":
        session.skip("Python counts instructions since 3.12")
    session.install("-e", PACKAGE)
    session.run("python", "-m", "benchmarks", "guard", *session.posargs)
