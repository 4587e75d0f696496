"""What the installed package needs: the exact versions that tools/requirements.txt names."""

from pathlib import Path

from hatchling.metadata.plugin.interface import MetadataHookInterface


class RequirementsHook(MetadataHookInterface):
    """Gives hatchling the dependencies; those of tests and the stubs stay in a checkout."""

    def update(self, metadata: dict) -> None:
        path = Path(self.root, "tools", "requirements.txt")
        wanted, section = [], ""
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith("#"):
                section = line
            elif line and section != "# tests" and "-stubs==" not in line:
                wanted.append(line)
        metadata["dependencies"] = wanted
