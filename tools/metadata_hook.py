"""What the installed package needs: the exact versions that the lists in tools/ name."""

from pathlib import Path

from hatchling.metadata.plugin.interface import MetadataHookInterface


class RequirementsHook(MetadataHookInterface):
    """Gives hatchling the dependencies; those of the tests stay in a checkout."""

    def update(self, metadata: dict) -> None:
        wanted = []
        for path in sorted(Path(self.root, "tools").glob("requirements*.txt")):
            if path.stem != "requirements-tests":
                lines = path.read_text(encoding="utf-8").splitlines()
                wanted += [line for line in lines if line and not line.startswith("#")]
        metadata["dependencies"] = wanted
