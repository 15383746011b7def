"""What dlt leaves in its working folder after a load: packages that nobody asks for again.

What an unfinished package means for the next load belongs to `pipeline.py`.
"""

import shutil
from pathlib import Path


def remove_loaded(working_folder: Path) -> int:
    """Remove the packages that are loaded; how many. Those under way stay.

    dlt keeps each for ever, 18 files of 56 KB a pass with the rows among them. Call inside `warehouse.reading`.
    """
    try:
        packages = [path for path in (working_folder / "load" / "loaded").iterdir() if path.is_dir()]
    except FileNotFoundError:
        return 0
    for package in packages:
        shutil.rmtree(package, ignore_errors=True)
    return len(packages)
