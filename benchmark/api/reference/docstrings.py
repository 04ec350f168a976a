"""Read the project's docstrings for the reference pages."""

import inspect
import re
from dataclasses import dataclass
from typing import Any

SECTION = re.compile(r"^(Args|Attributes|Returns|Raises|Source):[ ]*(.*)$")
ENTRY = re.compile(r"^ {4}([\w, ]+?): (.*)$")


@dataclass(frozen=True)
class Docstring:
    """A docstring in parts: its text, and the lines of each section."""

    text: str
    sections: dict[str, list[str]]

    @classmethod
    def of(cls, item: Any) -> "Docstring":
        """Divide the docstring of a class or a function."""
        text: list[str] = []
        sections: dict[str, list[str]] = {}
        lines = text
        for line in (inspect.getdoc(item) or "").splitlines():
            if opened := SECTION.match(line):
                lines = sections.setdefault(opened[1], [])
                lines += [f"    {opened[2]}"] if opened[2] else []
            else:
                lines.append(line)
        return cls(plain("\n".join(text)).strip(), sections)

    def entries(self, section: str) -> dict[str, str]:
        """Return the entries of a section by name; a line that is indented further continues one."""
        result: dict[str, str] = {}
        for line in self.sections.get(section, []):
            if (entry := ENTRY.match(line)) and not line.startswith(" " * 5):
                names, last = entry[1].split(", "), entry[2]
                result |= dict.fromkeys(names, last)
            elif result and line.strip():
                result |= {name: f"{result[name]} {line.strip()}" for name in names}
        return {name: plain(value) for name, value in result.items()}

    def bullets(self) -> str:
        """Return arguments, result and errors as a list."""
        lines = [f"- `{name}`: {value}" for name, value in self.entries("Args").items()]
        if "Returns" in self.sections:
            lines.append("- Returns " + plain(" ".join(line.strip() for line in self.sections["Returns"])))
        lines += [f"- Raises `{name}`: {value}" for name, value in self.entries("Raises").items()]
        return "\n" + "\n".join(lines) + "\n" if lines else ""


def plain(text: str) -> str:
    """Return reStructuredText as Markdown: literals have one backtick."""
    return text.replace("``", "`")
