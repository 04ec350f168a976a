"""The verb that lists and describes tasks."""

import json

from benchmark.cli.requests import TasksRequest
from benchmark.tasks.loading import load_task, task_names
from benchmark.tasks.pages import write_pages


def show_tasks(request: TasksRequest) -> int:
    """List the tasks, print one as JSON, or write a page per task."""
    if request.pages:
        for path in write_pages(request.pages):
            print(path)
    elif request.task:
        print(json.dumps(load_task(request.task).model_dump(mode="json"), indent=1))
    elif request.json:
        chosen = {"name", "title", "question", "classes", "citation"}
        known = [load_task(name) for name in task_names()]
        listed = [{**t.model_dump(include=chosen), "sources": list(t.sources)} for t in known]
        print(json.dumps(listed, indent=1))
    else:
        for task in map(load_task, task_names()):
            print(f"{task.name}: {task.question}")
            print(f"  classes: {', '.join(task.classes)}\n  sources: {', '.join(task.sources)}")
    return 0
