"""Run in the image itself, before it is pushed: it has what its pods run."""

import importlib
import os
import signal
import subprocess
import sys
import unittest
from importlib.metadata import distributions
from pathlib import Path

MODULES = (
    "flows.deploy", "flows.rebuild_image", "flows.rollback", "flows.converge", "flows.renew_robots", "flows.teardown",
    "flows.follow_tags", "deployments.register.__main__", "deployments.receiver.__main__",
)  # fmt: skip
ROOTS = (Path("/opt/hubwright"), Path("/opt/venv"))


class TestImage(unittest.TestCase):
    """What is true of the image."""

    def test_what_its_pods_run_can_be_imported(self) -> None:
        for module in MODULES:
            with self.subTest(module):
                importlib.import_module(module)

    def test_packages_agree(self) -> None:
        done = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stdout)
        names = {one.name for one in distributions()}
        self.assertLessEqual({"prefect", "prefect-kubernetes", "asyncpg"}, names)

    def test_helm_and_prefect_answer(self) -> None:
        for argv in (["helm", "version"], ["prefect", "version"]):
            done = subprocess.run(argv, capture_output=True, text=True, timeout=120)
            self.assertEqual(done.returncode, 0, done.stderr)

    def test_its_first_process_passes_on_what_it_is_asked_to_end_by(self) -> None:
        sleeping = "import time; print(1, flush=True); time.sleep(60)"
        argv = ["dumb-init", "--single-child", "--", sys.executable, "-c", sleeping]
        with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
            assert process.stdout
            process.stdout.readline()
            process.terminate()
            self.assertEqual(process.wait(timeout=20), 128 + signal.SIGTERM)

    def test_it_is_nobody_in_particular_and_owns_nothing(self) -> None:
        self.assertEqual((os.getuid(), os.getgid()), (1000, 1000))
        for root in ROOTS:
            self.assertEqual(
                [str(path) for path in root.rglob("*") if os.access(path, os.W_OK) and not path.is_symlink()], []
            )

    def test_it_is_compiled(self) -> None:
        for root in (ROOTS[0] / "flows", ROOTS[1]):
            self.assertTrue(any(root.rglob("*.pyc")), root)

    def test_nothing_of_the_sandbox_is_in_it(self) -> None:
        self.assertFalse((ROOTS[0] / "deployments" / "sandbox").exists())
        self.assertFalse((ROOTS[0] / "tests").exists())


if __name__ == "__main__":
    unittest.main()
