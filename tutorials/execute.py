"""Run the notebooks of this folder and store them with their outputs."""

import os
import re
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient


def main(paths: list[Path]) -> None:
    os.environ["PYTHONWARNINGS"] = "ignore:IProgress not found"
    for path in paths:
        notebook = nbformat.read(path, as_version=4)
        NotebookClient(notebook, timeout=3600, record_timing=False).execute()
        for cell in notebook.cells:
            for output in cell.get("outputs", []):
                if output.output_type == "stream":
                    # Where the kernel kept the cell is of no use to a reader, and is another one each time.
                    output.text = re.sub(r"\S*ipykernel_\d+\S*:\d+: ", "", output.text)
        nbformat.write(notebook, path)


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]] or sorted(Path(__file__).parent.glob("*.ipynb")))
