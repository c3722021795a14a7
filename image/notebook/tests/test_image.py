"""What is tried inside the image before anybody gets it, by the standard library of its own Python."""

import importlib
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import unittest
from pathlib import Path

SECONDS = 120
REQUESTED = Path(__file__).with_name("requested.txt")
"""Names of the packages that the lists ask for, one on each line; what they need in turn is not listed."""
NEEDS_A_DRIVER = {"cupy-cuda12x"}
"""Not imported here: without a GPU's driver they cannot be."""


def run(*argv):
    done = subprocess.run(
        argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=SECONDS, check=False
    )
    return done.returncode, done.stdout


def modules(name):
    """The modules that a package brings, as its own record says."""
    distribution = importlib.metadata.distribution(name)
    top = (distribution.read_text("top_level.txt") or "").split()
    files = [file.parts for file in distribution.files or ()]
    found = {parts[0] for parts in files if len(parts) > 1 and parts[-1] == "__init__.py" and len(parts) == 2}
    found |= {parts[0][:-3] for parts in files if len(parts) == 1 and parts[0].endswith(".py")}
    return sorted(module for module in found | set(top) if re.fullmatch(r"[A-Za-z]\w*", module))


class Image(unittest.TestCase):
    def test_packages_fit_together(self):
        code, said = run(sys.executable, "-m", "pip", "check")
        self.assertEqual(code, 0, said)

    def test_each_package_of_the_lists_is_there_and_imports(self):
        for name in REQUESTED.read_text().split():
            with self.subTest(name):
                importlib.metadata.distribution(name)
                for module in [] if name in NEEDS_A_DRIVER else modules(name)[:1]:
                    importlib.import_module(module)

    def test_a_kernel_starts_and_counts(self):
        from jupyter_client.manager import start_new_kernel

        manager, client = start_new_kernel(kernel_name="python3", startup_timeout=SECONDS)
        try:
            said = []
            client.execute_interactive("print(6 * 7)", timeout=SECONDS, output_hook=said.append)
            streams = [one["content"]["text"] for one in said if one["msg_type"] == "stream"]
            self.assertEqual("".join(streams).strip(), "42")
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)

    def test_jupyterlabs_extensions_are_healthy(self):
        for kind in ("labextension", "server"):
            words = ("labextension", "list") if kind == "labextension" else ("server", "extension", "list")
            code, said = run("jupyter", *words)
            self.assertEqual(code, 0, said)
            # Jupyter marks each extension with OK or with a cross.
            plain = re.sub(r"\x1b\[[0-9;]*m", "", said)
            self.assertNotRegex(plain, r"(?m)\sX\s*$|\sX\s+is|Validation failed", said)

    def test_the_hub_can_start_a_server_of_it(self):
        self.assertTrue(shutil.which("jupyterhub-singleuser"), "jupyterhub-singleuser is not on PATH")
        self.assertTrue(shutil.which("start-notebook.py"), "start-notebook.py is not on PATH")
        self.assertEqual((os.getuid(), os.getgid()), (1000, 100), "user and group")
        mine, hubs = importlib.metadata.version("jupyterhub"), os.environ["HUB_VERSION"]
        message = "the image has JupyterHub {}, and the chart's hub is {}: take a base with the same major version"
        self.assertEqual(mine.split(".")[0], hubs.split(".")[0], message.format(mine, hubs))


if __name__ == "__main__":
    unittest.main()
