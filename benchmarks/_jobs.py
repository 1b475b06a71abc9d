"""Jobs in processes of their own, a thread each, whose tables are kept as they come."""

import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import pandas as pd


def dense(table: str) -> str:
    """A table of a page of the docs, in small print."""
    return f"::::{{container}} table-of-figures\n{table}\n::::"


def run_jobs(run: Callable[..., pd.DataFrame], jobs: list[tuple], n: int, file: str | None) -> pd.DataFrame:
    """Tables of all jobs, one above the other.

    Parameters
    ----------
    run
        Called with a job; returns its table.
    jobs
        Plain values; their text names them in ``file``.
    n
        Processes at once.
    file
        A CSV file to which the table of each job is added when it is done; what is there is not run again.
    """
    os.environ |= {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    done = pd.read_csv(file) if file and Path(file).exists() else pd.DataFrame({"job": []})
    tables = [done] if len(done) else []
    with ProcessPoolExecutor(n) as pool:
        running = {pool.submit(run, job): str(job) for job in jobs if str(job) not in set(done["job"])}
        for future in as_completed(running):
            tables.append(future.result().assign(job=running[future]))
            if file:
                tables[-1].to_csv(file, mode="a", header=not Path(file).exists(), index=False)
    return pd.concat(tables, ignore_index=True)
