#!/usr/bin/env python3
"""Checks that no file needs scrolling for its subject: lines per file, and the number of public headers.

Usage: check_sizes.py [repository]   (standard library only; exit status 1 when a limit is passed)
"""

import pathlib
import subprocess
import sys

LIMIT = 700  # a file this long is split by subject
TEST_LIMIT = 900
REMARK = 400  # a file this long is listed: think
PUBLIC_HEADERS = 40

SUFFIXES = {".h", ".hpp", ".cpp", ".cc", ".cu", ".py", ".ts", ".tsx", ".js", ".mjs", ".cjs", ".sh", ".cmake"}
NAMES = {"dev", "CMakeLists.txt"}


def tracked(root):
    """The files of the repository that are not ignored, relative to `root`; every file where there is no git."""
    git = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=root, capture_output=True, text=True, check=False
    )
    if git.returncode == 0:
        return sorted(set(git.stdout.splitlines()))
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def is_test(file):
    name = pathlib.PurePosixPath(file).name
    return (
        file.startswith("tests/")
        or "/tests/" in file
        or "_test." in name
        or name.startswith("test_")
        or ".test." in name
    )


def check(root):
    """(errors, remarks) of the repository at `root`."""
    errors, remarks = [], []
    for file in tracked(root):
        path = root / file
        if (path.suffix not in SUFFIXES and path.name not in NAMES) or not path.is_file():
            continue
        with path.open("rb") as lines:
            count = sum(1 for _ in lines)
        limit = TEST_LIMIT if is_test(file) else LIMIT
        if count > limit:
            errors.append(f"{file}: {count} lines, the limit is {limit}: split it by subject")
        elif count > REMARK:
            remarks.append(f"{file}: {count} lines")
    headers = len(list((root / "include" / "thixo").rglob("*.h")))
    if headers > PUBLIC_HEADERS:
        errors.append(f"include/thixo: {headers} public headers, the limit is {PUBLIC_HEADERS}")
    return errors, remarks


def main():
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent.parent
    errors, remarks = check(root)
    for error in errors:
        print(error)
    if remarks:
        print(f"long (over {REMARK} lines), no error:")
        for remark in remarks:
            print(f"  {remark}")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
