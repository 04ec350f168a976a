"""The verb that makes a bundle to hand in."""

from functools import partial
from pathlib import Path

from benchmark.submissions import submit as submissions
from benchmark.submissions.request import SubmitRequest
from benchmark.verification.data import DataCache
from benchmark.verification.request import VerifyRequest
from benchmark.verification.verify import require_no_fault


def submit(request: SubmitRequest) -> int:
    """Make a bundle; one that was computed elsewhere must pass every check of ``verify``."""
    task, source = (Path(text) if text else None for text in (request.task, request.source))
    checks = VerifyRequest(
        task=task if task and task.suffix in (".yaml", ".yml") else None,
        source=source if source and source.suffix == ".py" else None,
        root=request.root,
    )
    verify = partial(require_no_fault, request=checks, cache=DataCache(request.root))
    return submissions.submit(request, verify)
