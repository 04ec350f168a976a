"""File system of a sandbox, and the commands that make it: read-only parts of this one, and no other path."""

from __future__ import annotations

import os
import shlex
import shutil
import site
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import benchmark

ETC = ("alternatives", "fonts", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime")
TOP = ("bin", "sbin", "lib", "lib32", "lib64")
DEVICES = ("null", "zero", "full", "random", "urandom")
FIRST_USER, USERS = 60_100, 5_000  # ids that no account has; two sandboxes rarely share one


@dataclass(frozen=True)
class View:
    """Everything that a sandbox shows.

    Attributes:
        shown: read-only files and folders, by their path in the sandbox; later ones hide earlier ones.
        hidden: folders within these that are empty in the sandbox.
        given: as ``shown``, and not hidden by ``hidden``.
        devices: of a GPU.
        scratch: bytes of temporary files.
    """

    shown: Mapping[Path, Path]
    hidden: Sequence[Path] = ()
    given: Mapping[Path, Path] = field(default_factory=dict)
    devices: Sequence[Path] = ()
    scratch: int = 2**30

    @classmethod
    def of_system(cls, *, scratch: int) -> View:
        """Return the view of a command without inputs: the system's programs and libraries."""
        etc = [Path("/etc", name) for name in ETC]
        return cls({path: path for path in (Path("/usr"), *etc) if path.exists()}, scratch=scratch)

    @classmethod
    def of_python(
        cls, *, hidden: Sequence[Path], given: Mapping[Path, Path], gpu: bool, scratch: int
    ) -> View:
        """Return the view of this Python with its packages and the suite's code.

        Args:
            hidden: folders that stay empty wherever they are.
        """
        shown = dict(cls.of_system(scratch=scratch).shown) | {path: path for path in python_folders()}
        roots = tuple(shown)
        folders = [path.resolve() for path in hidden if path.is_dir()]
        own = [path for path in folders if any(path.is_relative_to(root) for root in roots)]
        devices = sorted(Path("/dev").glob("nvidia*")) if gpu else []
        if gpu:
            shown[Path("/sys")] = Path("/sys")
        return cls(shown, own, given, [d for d in devices if not d.is_dir()], scratch)


def python_folders() -> list[Path]:
    """Return the folders of this Python, of its installed packages, its libraries, and the suite's code."""
    packages = [p for p in sys.path if Path(p).name in ("site-packages", "dist-packages")]
    libraries = [p for p in os.environ.get("LD_LIBRARY_PATH", "").split(":") if p]
    suite = str(Path(benchmark.__file__).parent)
    folders = [sys.prefix, sys.base_prefix, *packages, *libraries, suite]
    paths = [Path(os.path.abspath(f)) for f in folders] + [Path(f).resolve() for f in folders]
    chosen: list[Path] = []
    for path in sorted({p for p in paths if p.is_dir() and p != Path("/")}):
        if not any(path.is_relative_to(other) for other in (Path("/usr"), *chosen)):
            chosen.append(path)
    return chosen


def environment() -> dict[str, str]:
    """Return the environment variables of a sandbox; none names a folder of the run."""
    passed = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "CUDA_VISIBLE_DEVICES",
              "CUBLAS_WORKSPACE_CONFIG", "LD_LIBRARY_PATH")  # fmt: skip
    return {name: os.environ[name] for name in passed if name in os.environ} | {
        "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        "LANG": "C.UTF-8",
        "USER": "sandbox",
        "PYTHONPATH": str(Path(benchmark.__file__).parent.parent),
        "PYTHONUSERBASE": site.getuserbase(),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }


def readable(given: Mapping[Path, Path], copies: Path) -> dict[Path, Path]:
    """Return inputs, file by file, with a copy in place of each that only its owner can read."""
    files: dict[Path, Path] = {}
    for target, source in given.items():
        inner = [p for p in sorted(source.rglob("*")) if p.is_file()] if source.is_dir() else [source]
        files |= {target / path.relative_to(source): path for path in inner}
    for number, (target, path) in enumerate(files.items()):
        if not path.stat().st_mode & 0o004:
            copies.mkdir(exist_ok=True)
            files[target] = Path(shutil.copyfile(path, copies / str(number)))
            files[target].chmod(0o644)
    return files


@dataclass(frozen=True)
class Launch:
    """A command, and the descriptors that it inherits."""

    command: list[str]
    descriptors: tuple[int, ...] = ()


def drops_user() -> bool:
    """True if a sandbox runs as a user who owns nothing: for root, where everybody can read this Python."""
    return os.geteuid() == 0 and all(path.stat().st_mode & 0o005 == 0o005 for path in python_folders())


def _without_privileges() -> list[str]:
    """Return the start of a command that runs as a user who owns nothing."""
    user = str(FIRST_USER + os.getpid() % USERS)
    own = ["--reuid", user, "--regid", user, "--clear-groups"] if drops_user() else []
    return ["setpriv", *own, "--inh-caps=-all"]


@contextmanager
def bubblewrap(view: View, command: Sequence[str]) -> Iterator[Launch]:
    """Yield the command as bubblewrap runs it; its options are not visible inside."""
    root = drops_user()
    options = ["--die-with-parent", "--new-session", "--unshare-pid", "--unshare-net", "--unshare-ipc",
               "--unshare-uts", "--hostname", "sandbox", "--cap-drop", "ALL"]  # fmt: skip
    options += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"] if root else ["--unshare-user"]
    for name in TOP:
        path = Path("/", name)
        if path.is_symlink():
            options += ["--symlink", os.readlink(path), str(path)]
        elif path.is_dir():
            options += ["--ro-bind", str(path), str(path)]
    size = str(view.scratch)
    options += ["--proc", "/proc", "--dev", "/dev"]
    for device in view.devices:
        options += ["--dev-bind", str(device), str(device)]
    for folder in ("/tmp", "/dev/shm"):
        options += ["--perms", "1777", "--size", size, "--tmpfs", folder]
    for parent in sorted({p for path in (*view.shown, *view.given) for p in path.parents} - {Path("/")}):
        if not any(parent.is_relative_to(shown) for shown in view.shown):
            options += ["--perms", "0755", "--dir", str(parent)]  # else the user inside could not pass it
    for target, source in view.shown.items():
        options += ["--ro-bind", str(source), str(target)]
    for path in view.hidden:
        options += ["--tmpfs", str(path), "--remount-ro", str(path)]
    for target, source in view.given.items():
        options += ["--ro-bind", str(source.resolve()), str(target)]
    options += ["--chdir", "/tmp"]
    with tempfile.TemporaryFile() as file:
        file.write(b"\0".join(option.encode() for option in options) + b"\0")
        file.seek(0)
        start = ["bwrap", "--args", str(file.fileno()), "--"]
        yield Launch([*start, *_without_privileges(), *command], (file.fileno(),))


@contextmanager
def namespaces(view: View, command: Sequence[str]) -> Iterator[Launch]:
    """Yield the command as it runs under ``unshare``, which every Linux has, in a root of bind mounts."""
    root = os.geteuid() == 0
    folder = tempfile.mkdtemp(prefix="synththorax-root-")
    script = "\n".join(["set -e", *_mounts(view, folder), _entry(folder, command)])
    options = ["--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "--kill-child=KILL"]
    options += [] if root else ["--map-root-user"]
    with tempfile.TemporaryFile() as file:
        file.write(script.encode())
        file.seek(0)
        # the script is read as a file, so that no path of it is visible inside
        start = ["setpriv", "--pdeathsig", "KILL", "unshare", *options, "sh", f"/dev/fd/{file.fileno()}"]
        try:
            yield Launch(start, (file.fileno(),))
        finally:
            shutil.rmtree(folder, ignore_errors=True)  # empty: the mounts are in another namespace


def _entry(folder: str, command: Sequence[str]) -> str:
    start = [*_without_privileges(), "--no-new-privs", "--bounding-set=-all"]
    inner = f"cd /tmp; exec {shlex.join([*start, *command])}"
    return f"exec chroot {shlex.quote(folder)} sh -c {shlex.quote(inner)}"


def _mounts(view: View, folder: str) -> Iterator[str]:
    at = shlex.quote(folder)
    yield "mount --make-rprivate /"
    yield f"mount -t tmpfs -o mode=755,size=16m,nosuid none {at}"
    for name in TOP:
        path = Path("/", name)
        if path.is_symlink():
            yield f"ln -s {shlex.quote(os.readlink(path))} {at}/{name}"
        elif path.is_dir():
            yield from _bound(path, path, folder)
    yield f"mkdir -p {at}/proc {at}/tmp {at}/dev/shm"
    yield f"mount -t proc -o ro,nosuid,nodev,noexec proc {at}/proc"
    yield from (f"mount -t tmpfs -o mode=1777,size={view.scratch},nosuid none {at}/{name}"
                for name in ("tmp", "dev/shm"))  # fmt: skip
    for device in (*(Path("/dev", name) for name in DEVICES), *view.devices):
        yield f": > {at}{shlex.quote(str(device))} && mount --bind {device} {at}{shlex.quote(str(device))}"
    for target, source in view.shown.items():
        yield from _bound(target, source, folder)
    for path in view.hidden:
        yield f"mount -t tmpfs -o ro,size=4k none {shlex.quote(folder + str(path))}"
    for target, source in view.given.items():
        yield from _bound(target, source.resolve(), folder)


def _bound(target: Path, source: Path, folder: str) -> Iterator[str]:
    place, parent = shlex.quote(folder + str(target)), shlex.quote(folder + str(target.parent))
    yield f"mkdir -p {place}" if source.is_dir() else f"mkdir -p {parent} && : > {place}"
    yield f"mount --bind {shlex.quote(str(source))} {place}"
    yield f"mount -o remount,bind,ro,nosuid {place}"
