"""Damaged files for every reader: each is read to a valid result, or refused in words that name the file.

    python fuzz/readers.py [--seconds 300] [--seed 0] [--memory 2048] [--only NAME]

Valid files are made anew, damaged at random (bytes flipped, cut, doubled, rows swapped, separators added, members of
HDF5 replaced) and read in a process of its own, with a limit on its memory and on its time. Anything but a result or an
error that names the file (another kind of exception, a crash, a hang, too much memory) is printed, its file is kept
in ``fuzz/found``, and the exit status is 1. One seed gives the same files in the same order; the cases that found
something are kept in ``fuzz/readers_seeds.txt``, seed and number, and come first the next time.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
import multiprocessing
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
import zlib
from collections import Counter
from pathlib import Path

import numpy as np

FOUND = Path(__file__).parent / "found"
KEPT = Path(__file__).parent / "readers_seeds.txt"
ALLOWED = (ValueError, KeyError, TypeError, OSError)
CASE_SECONDS = 20
MEBIBYTE = 1 << 20


# ---------------------------------------------------------------- valid files


def valid_files(folder: Path) -> dict[str, list[Path]]:
    """Valid files of each reader."""
    import pandas as pd

    import tcellmil as tm

    rng = np.random.default_rng(0)
    genes = [f"GENE{i}" for i in range(30)]
    edges = pd.DataFrame({"TF": np.repeat(["SPI1", "NA", "PAX5"], 12), "target": np.tile(genes[:12], 3)})
    edges["importance"] = rng.gamma(2, 2, len(edges))
    edges["rho"] = rng.uniform(-1, 1, len(edges))
    files: dict[str, list[Path]] = {}

    def add(reader: str, name: str) -> Path:
        files.setdefault(reader, []).append(folder / name)
        return folder / name

    for name in ("adjacencies.tsv", "adjacencies.csv", "adjacencies.tsv.gz"):
        tm.io.write_adjacencies(edges, add("read_adjacencies", name))
    motifs = pd.DataFrame({"TF": ["SPI1", "PAX5"] * 4, "MotifID": [f"m{i}" for i in range(8)], "AUC": 0.1, "NES": 3.5})
    motifs = motifs.assign(MotifSimilarityQvalue=0.0, OrthologousIdentity=1.0, Annotation='it is "directly" annotated')
    motifs["Context"] = [frozenset({"activating", "top50"}), frozenset()] * 4
    motifs["RankAtMax"] = 100
    motifs["TargetGenes"] = [[(gene, float(i)) for i, gene in enumerate(genes[:9])]] * 8
    for name in ("motifs.csv", "motifs.tsv", "motifs.csv.gz"):
        tm.io.write_motifs(motifs, add("read_motifs", name))
    sets = edges.rename(columns={"TF": "source"})
    for name in ("sets.gmt", "sets.gmt.gz"):
        tm.io.write_gmt(sets, add("read_gmt", name))
    members = {name: {"systematicName": "M1", "geneSymbols": genes[:9]} for name in ("A", "B", "C")}
    add("read_msigdb_json", "sets.json").write_text(json.dumps(members, indent=1))
    net = sets.assign(weight=edges["importance"])
    net.to_csv(add("read_net", "net.csv"), index=False)
    net.to_csv(add("read_net", "net.tsv.gz"), index=False, sep="\t")
    shutil.copy(folder / "sets.gmt", add("read_net", "net.gmt"))
    shutil.copy(folder / "motifs.csv", add("read_net", "net_motifs.csv"))
    ranks = pd.DataFrame(np.argsort(rng.random((6, 30)), axis=1).astype(np.int16), columns=genes)
    ranks.insert(0, "motifs", [f"m{i}" for i in range(6)])
    for compression in ("uncompressed", "lz4", "zstd"):
        ranks.to_feather(add("read_rankings", f"{compression}.rankings.feather"), compression=compression)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the first version, which the databases of older years have, is deprecated
        ranks.to_feather(add("read_rankings", "old.rankings.feather"), version=1)
    annotations = pd.DataFrame({"#motif_id": [f"m{i}" for i in range(20)], "motif_name": "x", "gene_name": "SPI1"})
    annotations = annotations.assign(motif_similarity_qvalue=0.0, orthologous_identity=1.0, description="direct")
    annotations.to_csv(add("read_motif_annotations", "motifs.tbl"), sep="\t", index=False)
    add("load_tf_names", "tfs.txt").write_text("\n".join(genes) + "\n")
    _write_looms(add, rng, genes)
    return files


def _write_looms(add, rng: np.random.Generator, genes: list[str]) -> None:
    import h5py

    for name, prefix, options in (
        ("plain.loom", "", {}),
        ("gzip.loom", "", {"compression": "gzip", "chunks": (8, 8)}),
        ("protocol.loom", "Motif", {"compression": "gzip", "shuffle": True, "chunks": (30, 4)}),
    ):
        fields = np.dtype([("A(+)", "f8"), ("B(+)", "f8")])
        with h5py.File(add("read_scenic_loom", name), "w") as file:
            file.create_dataset("matrix", data=rng.poisson(0.7, (30, 20)).astype("f4"), **options)
            file["row_attrs/Gene"] = np.array(genes, "S") if prefix else np.array(genes, dtype=h5py.string_dtype())
            file["row_attrs/length"] = np.arange(30)
            file["col_attrs/CellID"] = np.array([f"c{i}" for i in range(20)], "S")
            file["col_attrs/share"] = rng.random(20)
            file[f"col_attrs/{prefix}RegulonsAUC"] = np.zeros(20, fields)
            file[f"row_attrs/{prefix}Regulons"] = np.ones(30, np.dtype([("A(+)", "i8"), ("B(+)", "i8")]))
            for group in ("attrs", "layers", "row_graphs", "col_graphs"):
                file.create_group(group)


# ---------------------------------------------------------------- damage


def damage(path: Path, rng: np.random.Generator) -> str:
    """Damage a file in place, once or some times; says how."""
    done = []
    for _ in range(rng.choice([1, 1, 1, 2, 5])):
        kinds = [flip, cut, double, overwrite]
        if path.suffix == ".loom":
            kinds += [replace_member] * 8
        elif path.suffix != ".feather":
            kinds += [swap_rows, separators, fields, words, words]
        kind = kinds[rng.integers(len(kinds))]
        try:
            done.append(kind(path, rng) or kind.__name__)
        except (*ALLOWED, RuntimeError, EOFError, zlib.error) as error:
            # What was damaged before cannot be opened to be damaged again.
            done.append(f"{kind.__name__} failed: {type(error).__name__}")
    return ", ".join(done)


def flip(path: Path, rng: np.random.Generator) -> None:
    """Some bytes become others."""
    data = bytearray(path.read_bytes())
    for position in rng.integers(max(1, len(data)), size=rng.choice([1, 2, 8, 64])):
        if data:
            data[position] = rng.integers(256)
    path.write_bytes(data)


def cut(path: Path, rng: np.random.Generator) -> None:
    """The end is missing."""
    data = path.read_bytes()
    path.write_bytes(data[: rng.integers(len(data) + 1)])


def double(path: Path, rng: np.random.Generator) -> None:
    """A part is there twice."""
    data = path.read_bytes()
    first, last = np.sort(rng.integers(len(data) + 1, size=2))
    path.write_bytes(data[:last] + data[first:])


def overwrite(path: Path, rng: np.random.Generator) -> None:
    """A run of bytes that often means something in a format."""
    data = bytearray(path.read_bytes())
    patterns = [b"\xff" * 8, b"\x00" * 8, b"\x80" * 4, b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x01"]
    pattern = patterns[rng.integers(len(patterns))]
    start = int(rng.integers(len(data) + 1))
    data[start : start + len(pattern)] = pattern
    path.write_bytes(data)


def _lines(path: Path) -> list[bytes]:
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).split(b"\n")


def _write_lines(path: Path, lines: list[bytes]) -> None:
    data = b"\n".join(lines)
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)


def swap_rows(path: Path, rng: np.random.Generator) -> None:
    """Two rows change places, or one is there twice."""
    lines = _lines(path)
    i, j = rng.integers(len(lines), size=2)
    lines[i], lines[j] = lines[j], lines[i]
    if rng.random() < 0.3:
        lines.insert(i, lines[j])
    _write_lines(path, lines)


def separators(path: Path, rng: np.random.Generator) -> None:
    """A separator, quotation mark or line break is added or removed."""
    lines = _lines(path)
    i = rng.integers(len(lines))
    marks = [b"\t", b",", b";", b'"', b"'", b"\r", b"\n", b"\x00", b"#", b" ", b"(", b"]"]
    mark = marks[rng.integers(len(marks))]
    if rng.random() < 0.3:
        lines[i] = lines[i].replace(mark, b"", 1)
    else:
        position = rng.integers(len(lines[i]) + 1)
        lines[i] = lines[i][:position] + mark * rng.choice([1, 2, 50]) + lines[i][position:]
    _write_lines(path, lines)


def fields(path: Path, rng: np.random.Generator) -> None:
    """A column is dropped, doubled or moved in one row or in all."""
    lines = _lines(path)
    mark = b"," if b".csv" in path.name.encode() else b"\t"
    rows = range(len(lines)) if rng.random() < 0.5 else [rng.integers(len(lines))]
    kind, column, place = rng.integers(3), rng.integers(12), rng.integers(12)
    for i in rows:
        row = lines[i].split(mark)
        if column < len(row):
            value = row[column] if kind == 1 else row.pop(column)
            if kind:
                row.insert(place, value)
        lines[i] = mark.join(row)
    _write_lines(path, lines)


def words(path: Path, rng: np.random.Generator) -> None:
    """A field becomes something else."""
    lines = _lines(path)
    mark = b"," if b".csv" in path.name.encode() else b"\t"
    i = rng.integers(len(lines))
    row = lines[i].split(mark)
    found = [
        b"inf",
        b"-inf",
        b"nan",
        b"",
        b"-1",
        b"1e999",
        b"NA",
        b"1_0",
        b"9" * 5000,
        b"\xff\xfe",
        b"[" * 3000,
        b"None",
    ]
    found += [b"frozenset()", b"[('a', 1), ('a', 2)]", b"__import__('os')", "ä\u2028ö".encode(), b"-" * 9000 + b"1"]
    row[rng.integers(len(row))] = found[rng.integers(len(found))]
    lines[i] = mark.join(row)
    _write_lines(path, lines)


def replace_member(path: Path, rng: np.random.Generator) -> str:
    """A member of an HDF5 file becomes another."""
    import h5py

    names = [
        "matrix",
        "row_attrs/Gene",
        "row_attrs/length",
        "col_attrs/CellID",
        "col_attrs/share",
        "col_attrs",
        "row_attrs",
    ]
    names += [f"{place}/{kind}{name}" for kind in ("", "Motif", "Track") for place, name in REGULONS]
    name = names[rng.integers(len(names))]
    kinds = {
        "gone": lambda file: None,
        "soft link": lambda file: file.__setitem__(name, h5py.SoftLink("/matrix")),
        "link to itself": lambda file: file.__setitem__(name, h5py.SoftLink(f"/{name}")),
        "external link": lambda file: file.__setitem__(name, h5py.ExternalLink("/etc/passwd", "/x")),
        "group": lambda file: file.create_group(name),
        "scalar": lambda file: file.__setitem__(name, 1.5),
        "text": lambda file: file.__setitem__(name, "text"),
        "empty": lambda file: file.__setitem__(name, h5py.Empty("f4")),
        "huge and not stored": lambda file: file.create_dataset(name, (1 << 20, 1 << 20), "f8", chunks=(1024, 1024)),
        "long and not stored": lambda file: file.create_dataset(name, (1 << 40,), "f8", chunks=(1 << 16,)),
        "huge chunk": lambda file: file.create_dataset(
            name, data=np.zeros((30, 20), "f4"), chunks=(1 << 13, 1 << 14), maxshape=(None, None)
        ),
        "deflated zeros": lambda file: file.create_dataset(name, data=np.zeros((3000, 2000), "f4"), compression="gzip"),
        "deflated ones": lambda file: file.create_dataset(name, data=np.ones((30, 200_000), "f4"), compression="gzip"),
        "external storage": lambda file: file.create_dataset(name, (30, 20), "f4", external=[("/etc/passwd", 0, 2400)]),
        "virtual": lambda file: file.create_virtual_dataset(name, _virtual()),
        "halves": lambda file: file.__setitem__(name, np.ones((30, 20), "f2")),
        "big-endian": lambda file: file.__setitem__(name, np.ones((30, 20), ">f8")),
        "complex": lambda file: file.__setitem__(name, np.ones(20, "c16")),
        "not finite": lambda file: file.__setitem__(name, np.full((30, 20), np.nan)),
        "20 numbers": lambda file: file.__setitem__(name, np.arange(20)),
        "30 numbers": lambda file: file.__setitem__(name, np.arange(30)),
        "no values": lambda file: file.__setitem__(name, np.zeros((0, 20))),
        "30 times one text": lambda file: file.__setitem__(name, np.full(30, "same", "S4")),
        "bytes that are no text": lambda file: file.__setitem__(name, np.full(20, b"\xff\xfe", "S2")),
        "references": lambda file: file.create_dataset(name, (20,), h5py.ref_dtype),
        "arrays of any length": lambda file: file.create_dataset(name, (20,), h5py.vlen_dtype("f4")),
        "regulons of text": lambda file: file.__setitem__(name, np.zeros(20, [("A(+)", "S3"), ("B(+)", "f4")])),
        "other regulons": lambda file: file.__setitem__(name, np.zeros(20, [("C(+)", "f4")])),
        "regulons of arrays": lambda file: file.__setitem__(name, np.zeros(20, [("A(+)", "f4", (3,))])),
    }
    kind = list(kinds)[rng.integers(len(kinds))]
    with h5py.File(path, "r+") as file:
        if name in file:
            del file[name]
        kinds[kind](file)
    return f"{name}: {kind}"


REGULONS = (("col_attrs", "RegulonsAUC"), ("row_attrs", "Regulons"))


def _virtual():
    import h5py

    layout = h5py.VirtualLayout((30, 20), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (30, 20))
    return layout


# ---------------------------------------------------------------- reading


def read(reader: str, path: Path) -> None:
    """Read a file, and use the result as the next step does."""
    import tcellmil as tm

    if reader == "load_tf_names":
        assert all(tm.regulons.load_tf_names(path))
        return
    result = getattr(tm.io, reader)(path)
    if reader == "read_scenic_loom":
        assert result.X.shape == result.shape
        for key in [key for key in result.uns if key.endswith("regulons")]:
            assert result.obsm[f"X_{key}"].shape == (result.n_obs, len(result.uns[key]["names"]))
        return
    assert len(result) or reader == "read_motif_annotations"  # none may be as close as wanted
    if reader == "read_adjacencies":
        assert np.isfinite(result["importance"].astype(float)).all() and (result["importance"] >= 0).all()
        assert result["TF"].str.strip().all() and not result.duplicated(["TF", "target"]).any()
    if reader == "read_net":
        assert np.isfinite(result["weight"]).all() and not result.duplicated(["regulon", "target"]).any()
    if reader == "read_rankings":
        assert result.index.is_unique and result.columns.is_unique and result.to_numpy().min() >= 0
    if reader == "read_motifs":
        assert all(np.isfinite([weight for _, weight in genes]).all() for genes in result["TargetGenes"])


def outcome(reader: str, path: Path) -> tuple[str, str]:
    """``read``, ``refused``, or ``fault`` and what it is."""
    signal.signal(signal.SIGALRM, _too_slow)
    signal.alarm(CASE_SECONDS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read(reader, path)
        return "read", ""
    except ALLOWED as error:
        if str(path) in str(error) and not str(error).startswith("[Errno"):
            return "refused", ""
        return "fault", f"the file is not named:\n{traceback.format_exc()}"
    except BaseException:  # noqa: BLE001 - whatever else it is, it is a fault
        return "fault", traceback.format_exc()
    finally:
        signal.alarm(0)


class TooSlow(BaseException):
    """Of no kind that a reader takes for a damaged file."""


def _too_slow(*_: object) -> None:
    raise TooSlow(f"over {CASE_SECONDS} s")


def work(connection, memory: int) -> None:
    """Read what comes through the pipe, with a limit on what is allocated after the imports."""
    import h5py  # noqa: F401
    import pyarrow.feather  # noqa: F401

    import tcellmil as tm

    for reader in ("read_adjacencies", "read_rankings", "read_scenic_loom", "read_net"):
        getattr(tm.io, reader)
    import anndata  # noqa: F401

    pages = int(Path("/proc/self/statm").read_text().split()[0]) if sys.platform == "linux" else 0
    limit = pages * resource.getpagesize() + memory * MEBIBYTE
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    while (case := connection.recv()) is not None:
        connection.send(outcome(*case))


class Worker:
    """A process that reads; another takes its place when it dies."""

    def __init__(self, memory: int) -> None:
        self.memory = memory
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=work, args=(other, self.memory), daemon=True)
        self.process.start()
        other.close()

    def outcome(self, reader: str, path: Path) -> tuple[str, str]:
        """What came of a file; a process that died or hangs is a fault."""
        self.pipe.send((reader, path))
        try:
            if self.pipe.poll(2 * CASE_SECONDS + 60):
                return self.pipe.recv()
            what = "it hangs in a library"
        except EOFError:
            self.process.join()
            what = f"the process died, with status {self.process.exitcode}"
        self.process.kill()
        self.process.join()
        self._start()
        return "fault", what

    def close(self) -> None:
        """End the process."""
        self.pipe.send(None)
        self.process.join()


def kept_cases() -> list[tuple[int, int]]:
    """Seed and number of the cases that found something."""
    return [tuple(map(int, line.split())) for line in KEPT.read_text().splitlines()] if KEPT.exists() else []


def main(arguments: list[str] | None = None) -> int:
    """Damage and read files for as long as wanted; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=300, help="how long (default 300)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the damage (default 0)")
    parser.add_argument("--memory", type=int, default=2048, help="MiB that reading may allocate (default 2048)")
    parser.add_argument("--only", help="name of one reader")
    options = parser.parse_args(arguments)
    print(f"readers: seed {options.seed}, {options.seconds:g} s, {options.memory} MiB", flush=True)
    start, counts, faults = time.monotonic(), Counter(), Counter()
    kept = kept_cases()
    worker = Worker(options.memory)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "valid").mkdir()
        files = valid_files(folder / "valid")
        for reader, paths in files.items():
            for path in paths:
                result, what = worker.outcome(reader, path)
                assert result == "read", f"{reader} does not read the valid {path.name}: {what}"
        for seed, n in itertools.chain(kept, zip(itertools.repeat(options.seed), itertools.count())):
            if time.monotonic() - start > options.seconds:
                break
            rng = np.random.default_rng([seed, n])
            reader = list(files)[rng.integers(len(files))]
            if options.only not in (None, reader):
                continue
            valid = files[reader][rng.integers(len(files[reader]))]
            path = folder / valid.name
            shutil.copy(valid, path)
            how = damage(path, rng)
            result, what = worker.outcome(reader, path)
            counts[reader, result] += 1
            if result == "fault":
                faults[reader, what.strip().splitlines()[-1][:80]] += 1
                report(f"{reader}, seed {seed}, case {n} ({how})\n{what}", path, f"{reader}-{seed}-{n}-{valid.name}")
                if (seed, n) not in kept:
                    kept.append((seed, n))
                    KEPT.write_text("".join(f"{seed} {n}\n" for seed, n in kept))
            path.unlink()
    worker.close()
    for reader in files:
        found = ", ".join(f"{counts[reader, result]} {result}" for result in ("read", "refused", "fault"))
        print(f"  {reader}: {found}")
    print(f"readers: {counts.total()} cases, {faults.total()} faults of {len(faults)} kinds, seed {options.seed}")
    return 1 if faults else 0


def report(text: str, path: Path, name: str) -> None:
    """Print a fault, and keep its file."""
    FOUND.mkdir(exist_ok=True)
    shutil.copy(path, FOUND / name)
    print(f"\n{text}kept as {FOUND / name}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
