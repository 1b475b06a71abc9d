"""Saving leaves one whole model, the old or the new one, and deletes nothing else; loading reads within bounds."""

import json
import os
import subprocess
import sys
import textwrap
import warnings
import zipfile

import h5py
import numpy as np
import pandas as pd
import pytest

import tcellmil as tm
from tcellmil import _folders
from tcellmil.model._files import _folder

DAMAGED = "^the fitted model is damaged or was changed by hand: .*"


@pytest.fixture
def saved(model, tmp_path):
    model.save(tmp_path / "model")
    return tmp_path / "model"


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def arrays_of(saved):
    with np.load(saved / "arrays.npz") as arrays:
        return dict(arrays)


def test_overwriting_replaces_the_model_and_leaves_nothing_beside(model, saved):
    (saved / "model.json").write_text("{}")
    model.save(saved, overwrite=True)
    pd.testing.assert_frame_equal(tm.model.TcellMIL.load(saved, model.adata).predict(), model.predict())
    assert [path.name for path in saved.parent.iterdir()] == ["model"]
    model.save(saved, overwrite=True, save_anndata=True)
    assert set(content(saved)) == {"model.json", "arrays.npz", "adata.h5ad"}
    model.save(saved, overwrite=True)
    assert set(content(saved)) == {"model.json", "arrays.npz"}


def test_an_empty_folder_and_a_link_to_a_model_are_overwritten(model, saved, tmp_path):
    (tmp_path / "empty").mkdir()
    model.save(tmp_path / "empty", overwrite=True)
    tm.model.TcellMIL.load(tmp_path / "empty")
    (tmp_path / "link").symlink_to(saved)
    (saved / "model.json").write_text("{}")
    model.save(tmp_path / "link", overwrite=True)
    assert (tmp_path / "link").is_symlink()
    tm.model.TcellMIL.load(saved)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["text.txt"], r"holds \['text.txt'\], which saving would delete; choose another folder"),
        (["model.json", "arrays.npz", "notes.txt"], r"holds \['notes.txt'\], which saving would delete"),
        (["arrays.npz"], r"holds \['arrays.npz'\] and no model.json, so it is no saved model"),
        (["model.json", "adata.h5ad/x"], r"holds \['adata.h5ad'\], which saving would delete"),
    ],
)
def test_a_folder_that_is_no_model_is_never_emptied(model, tmp_path, files, message):
    folder = tmp_path / "folder"
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("kept")
    with pytest.raises(ValueError, match=message):
        model.save(folder, overwrite=True)
    assert all((folder / name).read_text() == "kept" for name in files)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_file_is_not_overwritten(model, tmp_path):
    (tmp_path / "file").write_text("kept")
    for overwrite in (False, True):
        with pytest.raises(ValueError, match="file is a file; choose another name for the folder"):
            model.save(tmp_path / "file", overwrite=overwrite)
    assert (tmp_path / "file").read_text() == "kept"


def test_what_cannot_be_saved_is_known_before_anything_is_deleted(model, cohort, saved):
    before = content(saved)
    without_data = tm.model.TcellMIL.load(saved)
    with pytest.raises(ValueError, match="holds no data to save; pass save_anndata=False"):
        without_data.save(saved, overwrite=True, save_anndata=True)
    tm.model.TcellMIL.setup_anndata(cohort, "patient", "response", use_rep="X_small")
    with pytest.raises(ValueError, match="not trained yet"):
        tm.model.TcellMIL(cohort).save(saved, overwrite=True)
    weights = without_data.module.members[0].classifier
    weights["attention.w.weight"] = weights["attention.w.weight"] * np.nan
    with pytest.raises(ValueError, match="attention.w.weight holds .* NaN"):
        without_data.save(saved, overwrite=True)
    assert content(saved) == before and [path.name for path in saved.parent.iterdir()] == ["model"]


@pytest.mark.parametrize("point", ["write", "data", "away", "in place"])
def test_an_interrupted_save_leaves_one_model_and_no_litter(model, saved, monkeypatch, point):
    before = content(saved)
    rename, seen = type(saved).rename, []

    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    def renamed(path, target):
        seen.append(path)
        if len(seen) == {"away": 1, "in place": 2}[point]:
            raise KeyboardInterrupt
        return rename(path, target)

    if point == "write":
        monkeypatch.setattr(np, "savez_compressed", interrupt)
    elif point == "data":
        monkeypatch.setattr(type(model.adata), "write_h5ad", interrupt)
    else:
        monkeypatch.setattr(type(saved), "rename", renamed)
    with pytest.raises(KeyboardInterrupt):
        model.save(saved, overwrite=True, save_anndata=True)
    monkeypatch.undo()
    assert content(saved) == before and [path.name for path in saved.parent.iterdir()] == ["model"]


def test_an_interrupt_after_the_exchange_leaves_the_new_model(model, saved, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(_folders, "_delete", interrupt)
    with pytest.raises(KeyboardInterrupt):
        model.save(saved, overwrite=True, save_anndata=True)
    assert "adata.h5ad" in content(saved) and [path.name for path in saved.parent.iterdir()] == ["model"]


def test_an_old_model_that_cannot_be_deleted_is_reported(model, saved, monkeypatch):
    def fail(path, **kwargs):
        raise PermissionError("no")

    monkeypatch.setattr(_folders.shutil, "rmtree", fail)
    with pytest.warns(
        UserWarning, match=r"the new model is in .*model; the one before could not be deleted from .*: no"
    ):
        model.save(saved, overwrite=True)
    tm.model.TcellMIL.load(saved)


@pytest.mark.slow
def test_a_full_disk_leaves_the_old_model(saved):
    """A limit on the size of files stands for the disk."""
    program = """
        import resource, sys
        import tcellmil as tm

        model = tm.model.TcellMIL.load(sys.argv[1])
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, resource.RLIM_INFINITY))
        try:
            model.save(sys.argv[1], overwrite=True)
        except OSError as error:
            print("OSError", error.errno)
    """
    before = content(saved)
    assert len(before["arrays.npz"]) > 3000
    command = [sys.executable, "-c", textwrap.dedent(program), str(saved)]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert found.stdout.startswith("OSError 27"), found
    assert content(saved) == before and [path.name for path in saved.parent.iterdir()] == ["model"]


def test_the_checksum_of_a_folder_is_in_its_json(model, saved):
    values = json.loads((saved / "model.json").read_text())
    assert values["checksum"] == model.to_state()["checksum"]
    values["training"]["lr"] = 0.7
    (saved / "model.json").write_text(json.dumps(values))
    with pytest.raises(ValueError, match=DAMAGED + "its checksum is .* was stored"):
        tm.model.TcellMIL.load(saved)


def test_files_that_save_does_not_write_are_not_looked_at(model, saved):
    (saved / "model.pkl").write_bytes(b"cos\nabort\n.")
    (saved / "arrays").mkdir()
    pd.testing.assert_frame_equal(tm.model.TcellMIL.load(saved, model.adata).predict(), model.predict())


def rewrite(saved, *, extra=(), lose=(), method=zipfile.ZIP_DEFLATED, **changed):
    with zipfile.ZipFile(saved / "arrays.npz") as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist() if info.filename not in lose}
    with zipfile.ZipFile(saved / "arrays.npz", "w", method) as archive:
        for name, values in (*(members | changed).items(), *extra):
            archive.writestr(name, values)


def npy(header, values=b""):
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + values


OBJECT = npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", b"cposix\n_exit\n(I77\ntR.")
SEED = "splits/seed.npy"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"extra": [("weights/x.npy", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (0,)}"))]}, "not known"),
        ({"extra": [("weights/run.py", b"")]}, "arrays.npz holds 'weights/run.py', which is no array"),
        ({"extra": [(SEED, b"")]}, "arrays.npz holds arrays of the same name"),
        ({"lose": [SEED]}, r"arrays \['splits/seed'\] are missing"),
        ({"method": zipfile.ZIP_LZMA}, "arrays.npz is compressed by method 14, which numpy does not write"),
        ({SEED: OBJECT}, "holds 'splits/seed.npy' of type object, not an array of numbers or text"),
        ({SEED: b"junk"}, "holds 'splits/seed.npy', whose header cannot be read"),
        ({SEED: npy("{'descr': '<i8', 'fortran_order': False, 'shape': (-1,)}")}, "whose shape cannot be read"),
        (
            {SEED: npy("{'descr': '<i8', 'fortran_order': False, 'shape': (8,)}")},
            "holds 0 bytes or more of",
        ),
        (
            {SEED: npy("{'descr': '<i8', 'fortran_order': True, 'shape': (8,)}")},
            "not an array of numbers",
        ),
        ({SEED: npy("{'descr': '<i8', 'fortran_order': False, 'shape': (10000000,)}")}, r"integers \(10000000,\), the"),
    ],
)
def test_archives_that_save_does_not_write_are_refused(saved, change, message):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a name that stands twice
        rewrite(saved, **change)
    with pytest.raises(ValueError, match=DAMAGED + message):
        tm.model.TcellMIL.load(saved)


def test_arrays_that_would_take_far_more_than_their_file_are_refused(saved, monkeypatch):
    arrays = arrays_of(saved)
    wide = {"splits/patients": arrays["splits/patients"].astype("U1000")}
    np.savez_compressed(saved / "arrays.npz", **arrays | wide)
    tm.model.TcellMIL.load(saved)
    monkeypatch.setattr(_folder, "MAX_BYTES", 0)
    monkeypatch.setattr(_folder, "MAX_EXPANSION", 1)
    with pytest.raises(ValueError, match=DAMAGED + r"arrays.npz would become \d+ bytes, its size allows for \d+"):
        tm.model.TcellMIL.load(saved)


def test_content_beyond_the_declared_size_is_refused(saved):
    with zipfile.ZipFile(saved / "arrays.npz") as archive:
        seeds = archive.read(SEED)
    rewrite(saved, **{SEED: seeds + bytes(30_000_000)})
    with pytest.raises(ValueError, match=DAMAGED + "bytes or more of splits/seed, its header says 64"):
        tm.model.TcellMIL.load(saved)


@pytest.mark.parametrize("name", ["model.json", "arrays.npz", "adata.h5ad", "mdata.h5mu"])
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_what_is_no_file_is_not_read(saved, name, kind):
    (saved / name).unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(saved / name)
    elif kind == "folder":
        (saved / name).mkdir()
    else:
        (saved / name).symlink_to("/dev/zero")
    with pytest.raises(ValueError, match=f"{DAMAGED}{name} is no file"):
        tm.model.TcellMIL.load(saved)


@pytest.mark.parametrize("name", ["model.json", "arrays.npz"])
def test_files_that_are_cut_or_missing_are_refused(saved, name):
    whole = (saved / name).read_bytes()
    for n in (0, 1, len(whole) // 2, len(whole) - 30):
        (saved / name).write_bytes(whole[:n])
        with pytest.raises(ValueError, match=DAMAGED):
            tm.model.TcellMIL.load(saved)
    (saved / name).unlink()
    with pytest.raises(ValueError, match=f"holds no {name}"):
        tm.model.TcellMIL.load(saved)


def test_json_that_is_no_text_or_too_long_is_refused(saved):
    (saved / "model.json").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=DAMAGED + "model.json is no text"):
        tm.model.TcellMIL.load(saved)
    with open(saved / "model.json", "wb") as file:
        file.truncate(10**10)  # a file of holes takes no place on the disk
    with pytest.raises(ValueError, match=DAMAGED + "model.json has 10000000000 bytes, which is more than is read"):
        tm.model.TcellMIL.load(saved)


def external(file):
    file["obs/other"] = h5py.ExternalLink("/etc/hostname", "/x")


def outside(file):
    file.create_dataset("raw_bytes", (8,), "u1", external=[("/etc/hostname", 0, 8)])


def virtual(file):
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", (4,))
    file.create_virtual_dataset("virtual", layout)


def huge(file):
    file.create_dataset("huge", (10**6, 10**6), "f8", chunks=(100, 100))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (external, "adata.h5ad holds 'other', a link to another place"),
        (outside, "adata.h5ad holds 'raw_bytes', whose values are in another file"),
        (virtual, "adata.h5ad holds 'virtual', whose values are in another file"),
        (huge, r"adata.h5ad would become \d+ bytes, its size allows for"),
    ],
)
def test_data_that_lead_out_of_their_file_are_refused(model, tmp_path, change, message):
    model.save(tmp_path / "model", save_anndata=True)
    with h5py.File(tmp_path / "model" / "adata.h5ad", "a") as file:
        change(file)
    with pytest.raises(ValueError, match=DAMAGED + message):
        tm.model.TcellMIL.load(tmp_path / "model")


def test_data_that_are_cut_are_refused(model, tmp_path):
    model.save(tmp_path / "model", save_anndata=True)
    file = tmp_path / "model" / "adata.h5ad"
    file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(ValueError, match=DAMAGED + "adata.h5ad cannot be read"):
        tm.model.TcellMIL.load(tmp_path / "model")
