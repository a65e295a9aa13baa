"""Entries: folders, samplesheets, splits and settings."""

from __future__ import annotations

import csv
import json
import shutil

import numpy as np
from catalogue_place import Entry, Place
from catalogue_right import as_sound, checked
from wssamnet.images import Volume, read_image, write_image


def _copy(place: Place, source: str, name: str) -> object:
    return shutil.copy(place.file(source), place.file(source).with_name(name))


def _one_pair(place: Place) -> object:
    return shutil.rmtree(place.cohort / "BraTSReg_002")


def _circle(place: Place) -> object:
    return (place.cohort / "BraTSReg_001" / "again").symlink_to(place.cohort), (place.cohort / "loop").symlink_to(".")


def _gone(place: Place, visit: str) -> object:
    return [path.unlink() for path in (place.cohort / "BraTSReg_002").glob(f"*_{visit}_*")]


def _file(place: Place) -> object:
    (place.root / "cohort.zip").write_bytes(b"PK")
    return place.check(place.root / "cohort.zip")


def _folds(place: Place) -> None:
    with (place.out / "splits.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert sorted(row["case"] for row in rows if row["role"] == "test") == ["BraTSReg_001", "BraTSReg_002"]


def _second(place: Place) -> object:
    folder = place.bids() / "sub-01" / "ses-pre" / "anat"
    shutil.copy(folder / "sub-01_ses-pre_T2w.nii.gz", folder / "sub-01_ses-pre_acq-2d_T2w.nii.gz")
    return place.check(place.root / "bids", "--sessions", "pre,post")


def _second_elsewhere(place: Place) -> object:
    folder = place.bids() / "sub-01" / "ses-mid" / "anat"
    folder.mkdir(parents=True)
    for name in ("T2w", "acq-2d_T2w"):
        shutil.copy(place.file("00_t2"), folder / f"sub-01_ses-mid_{name}.nii.gz")
    return place.check(place.root / "bids", "--sessions", "pre,post")


def _lower(place: Place) -> object:
    (place.cohort / "site_b").mkdir()
    return (place.cohort / "BraTSReg_002").rename(place.cohort / "site_b" / "BraTSReg_002")


def _not_fetched(place: Place) -> object:
    folder = place.bids() / "sub-01" / "ses-pre" / "anat"
    (folder / "sub-01_ses-pre_desc-brain_mask.nii.gz").symlink_to("annex")
    return place.check(place.root / "bids", "--sessions", "pre,post")


def _other_modality(place: Place) -> None:
    (place.cohort / "BraTSReg_003").mkdir()
    for visit in ("00_0000", "01_0106"):
        shutil.copy(place.file("00_t1ce"), place.cohort / "BraTSReg_003" / f"BraTSReg_003_{visit}_t1gd.nii.gz")


def _first_is_pre(place: Place) -> None:
    as_sound(place)
    case = json.loads((place.out / "cases" / "sub-01.json").read_text())
    assert "ses-pre" in case["fixed"]["images"]["t1ce"]
    assert "ses-post" in case["moving"]["images"]["t1ce"]


def _with_lesions(place: Place) -> object:
    root = place.bids(("pre", "post"), "--sessions", "pre,post")
    for session in ("pre", "post"):
        stem = root / "sub-01" / f"ses-{session}" / "anat" / f"sub-01_ses-{session}"
        image = read_image(f"{stem}_T2w.nii.gz")
        brightest = image.data > np.quantile(image.data, 0.99)
        write_image(f"{stem}_label-lesion_mask.nii.gz", Volume(brightest.astype(np.uint8), image.grid))
    return root


def _lesion_of_pre(place: Place) -> None:
    as_sound(place)
    found = [json.loads((place.out / "cases" / f"sub-0{number}.json").read_text())["lesion"] for number in (1, 2)]
    assert found[0].endswith("sub-01_ses-pre_label-lesion_mask.nii.gz")
    assert found[1] is None


def _numbered(place: Place) -> None:
    as_sound(place)
    case = json.loads((place.out / "cases" / "sub-01.json").read_text())
    assert "ses-9" in case["fixed"]["images"]["t1ce"]


def _quoted(place: Place) -> object:
    path = place.file("00_t1ce")
    return place.sheet(fixed_t1ce=f'"{shutil.copy(path, path.with_name("a, b.nii.gz"))}"')


FOLDERS = [
    Entry("there is no such folder", lambda p: p.check(p.root / "nowhere"),
        says="nowhere: there is no such file or folder (a cohort's folder or a samplesheet)"),
    Entry("an empty folder", lambda p: ((p.root / "empty").mkdir(), p.check(p.root / "empty")),
        says="empty: holds no case (BraTSReg_001/BraTSReg_001_00_0000_t1ce.nii.gz and …_01_0106_t1ce.nii.gz)"),
    Entry("an archive in place of a folder", _file,
        says="cohort.zip: is neither a folder nor a samplesheet (a .csv file)"),
    Entry("two follow-ups of one case", lambda p: _copy(p, "01_t1ce", "BraTSReg_001_02_0300_t1ce.nii.gz"),
        says="cohort/BraTSReg_001: has 2 follow-up scans, 01_0106, 02_0300 (keep one in the folder, or choose "
             "pairs in a samplesheet with a column 'patient')"),
    Entry("two baselines of one case", lambda p: _copy(p, "00_t1ce", "BraTSReg_001_00_0007_t1ce.nii.gz"),
        says="cohort/BraTSReg_001: has 2 baseline scans, 00_0000, 00_0007 (keep one in the folder, or choose "
             "pairs in a samplesheet with a column 'patient')"),
    Entry("no baseline", lambda p: _gone(p, "00"),
        says="cohort/BraTSReg_002: has no baseline scan (files named BraTSReg_002_00_0000_….nii.gz)"),
    Entry("no follow-up", lambda p: _gone(p, "01"),
        says="cohort/BraTSReg_002: has no follow-up scan (files named BraTSReg_002_01_0106_….nii.gz)"),
    Entry("a case's folder is a link that leads nowhere", lambda p: (p.cohort / "BraTSReg_003").symlink_to("disk"),
        says="cohort/BraTSReg_003: is a link that leads nowhere (to a case's folder; remove it if it is none)"),
    Entry("a case of other modalities", _other_modality,
        says="cohort/BraTSReg_003: has images named t1gd alone (t1, t1ce, t2, flair, or `modalities`)"),
    Entry("files of two cases in one folder", lambda p: _copy(p, "00_t1ce", "BraTSReg_009_00_0000_t1ce.nii.gz"),
        says="cohort/BraTSReg_001: holds files of several cases, BraTSReg_001, BraTSReg_009 (one folder for each)"),
    Entry("a case a level below the others", _lower,
        says="cohort/site_b/BraTSReg_002: holds BraTSReg_002, a level below cohort/BraTSReg_001 (all cases' folders "
             "side by side, or a samplesheet)"),
    Entry("one scan as .nii and .nii.gz", lambda p: _copy(p, "00_t1ce", "BraTSReg_001_00_0000_t1ce.nii"),
        says="BraTSReg_001_00_0000_t1ce.nii.gz: is there twice, also as BraTSReg_001_00_0000_t1ce.nii (keep one "
             "of them)"),
    Entry("one pair only", _one_pair,
        says="test_cases: none of 1 cases is left to train on (fewer test cases, or more; else "
             "`wssamnet check --no-training`, or --methods without networks)"),
    Entry("more folds than cases", lambda p: p.check(split=("--folds", 3)),
        says="folds: 3 for 2 cases (a number from 2 to the number of cases)"),
    Entry("a single fold", lambda p: p.check(split=("--folds", 1)),
        says="folds: 1 for 2 cases (a number from 2 to the number of cases)"),
    Entry("a test case that is not there", lambda p: p.check(split=("--test-cases", "BraTSReg_01")),
        says="test_cases: 'BraTSReg_01' is not in the cohort (did you mean BraTSReg_001?)"),
    Entry("all cases are test cases", lambda p: p.check(split=("--test-cases", "BraTSReg_001,BraTSReg_002")),
        says="test_cases: none of 2 cases is left to train on (fewer test cases, or more; else "
             "`wssamnet check --no-training`, or --methods without networks)"),
    Entry("a share of test cases above 1", lambda p: p.check(split=("--test-ratio", 1.5)),
        says="test_ratio: 1.5 (a number between 0 and 1)"),
    Entry("no split is asked for", lambda p: p.check(split=()),
        says="test_cases, test_ratio, folds: no test case is asked for (one of them; --no-training tests all)"),
    Entry("BIDS: sessions whose order is not known", lambda p: (p.bids(), shutil.rmtree(p.root / "bids/sub-02")),
        says="bids/sub-01: sessions post, pre have no order by number (name two: --sessions FIXED,MOVING)"),
    Entry("BIDS: a session that a subject does not have", lambda p: (
        p.bids(("pre", "post"), "--sessions", "pre,late"), shutil.rmtree(p.root / "bids/sub-02")),
        says="bids/sub-01: has no scan of session late (it has post, pre)"),
    Entry("BIDS: one session twice", lambda p: p.bids(("pre", "post"), "--sessions", "pre,pre"),
        says="sessions: pre,pre (two labels: of the fixed scan, of the moving scan)"),
    Entry("BIDS: one session only", lambda p: (p.bids(("1", "2")), shutil.rmtree(p.root / "bids/sub-02/ses-2")),
        says="bids/sub-02: has scans of 1 sessions, 1 (name two: --sessions FIXED,MOVING)"),
    Entry("BIDS: two scans of one kind", _second,
        says="bids/sub-01/ses-pre/anat/sub-01_ses-pre_acq-2d_T2w.nii.gz: is a second t2, beside "
             "sub-01_ses-pre_T2w.nii.gz (keep one of them in the folder, or choose in a samplesheet)"),
    Entry("BIDS: a brain mask that was not fetched", _not_fetched,
        says="bids/sub-01/ses-pre/anat/sub-01_ses-pre_desc-brain_mask.nii.gz: is a link that leads nowhere "
             "(a .nii or .nii.gz file)"),
    Entry("sessions are named, and the folder is not BIDS", lambda p: p.check(p.cohort, "--sessions", "pre,post"),
        says="cohort: sessions are named, but it holds no folder sub-… (a BIDS cohort, or no sessions)"),
    Entry("folders that link to themselves", _circle, accepted="not followed in a circle", right=as_sound),
    Entry("other files beside the cases", lambda p: (
        (p.cohort / "README.txt").write_text("x"), (p.cohort / "BraTSReg_001" / ".DS_Store").write_bytes(b"x")),
        accepted="passed over", right=as_sound),
    Entry("as many folds as cases", lambda p: p.check(split=("--folds", 2)), accepted="each is tested once",
          right=_folds),
    Entry("BIDS: two scans of one kind in a session that is not named", _second_elsewhere, accepted="passed over",
          right=_first_is_pre),
    Entry("BIDS, sessions named", lambda p: p.bids(("pre", "post"), "--sessions", "pre,ses-post"),
          accepted="the first named is the fixed scan", right=_first_is_pre),
    Entry("BIDS, lesion masks in both sessions", _with_lesions, accepted="the fixed one is the case's",
        right=_lesion_of_pre),
    Entry("BIDS, two sessions with numbers", lambda p: p.bids(("9", "10")), accepted="9 comes before 10",
          right=_numbered),
]  # fmt: skip

SHEETS = [
    Entry("empty", lambda p: p.sheet(""),
        says="sheet.csv: is empty (a header row and one row a case)"),
    Entry("only a header", lambda p: p.sheet("case,fixed_t1ce,moving_t1ce\n"),
        says="sheet.csv: has no row below the header (one row a case)"),
    Entry("no column case", lambda p: p.sheet("fixed_t1ce,moving_t1ce\na,b\n"),
        says="sheet.csv: has no column 'case' (the first line names the columns)"),
    Entry("a column's name is misspelled", lambda p: p.sheet("case,fixd_t1ce,moving_t1ce\np,a,b\n"),
        says="sheet.csv: column 'fixd_t1ce' is not known (did you mean fixed_t1ce?)"),
    Entry("a mask's column is misspelled", lambda p: p.sheet("case,fixed_t1ce,moving_t1ce,fixed_masks\np,a,b,c\n"),
        says="sheet.csv: column 'fixed_masks' is not known (did you mean fixed_mask?)"),
    Entry("a column twice", lambda p: p.sheet("case,fixed_t1ce,fixed_t1ce\np,a,b\n"),
        says="sheet.csv: column 'fixed_t1ce' occurs twice (each once)"),
    Entry("a comma in a name without quotes", lambda p: p.sheet("case,fixed_t1ce,moving_t1ce\np,a,b,c\n"),
        says="sheet.csv: row 2 has 4 values for 3 columns (quote commas in names)"),
    Entry("a row without id", lambda p: p.sheet(case=""),
        says="sheet.csv: row 2 has no case id (one in column 'case')"),
    Entry("a file that is not there", lambda p: p.sheet(fixed_t1ce="missing.nii.gz"),
        says="missing.nii.gz: there is no such file (a .nii or .nii.gz file)"),
    Entry("one patient's scan in the rows of two", lambda p: p.sheet(fixed_t1ce=p.file("00_t1ce", 2)),
        says="cohort/BraTSReg_002/BraTSReg_002_00_0000_t1ce.nii.gz: is given for cases p1 and p2 (the same name for "
             "both in a column 'patient' of the samplesheet, so that none is trained on where the other is tested)"),
    Entry("an id that climbs out of the folder", lambda p: p.sheet(case="../../x"),
        says="case '../../x': the id cannot name a folder everywhere (letters, digits, '.', '_' and '-', at most "
             "100, a letter or digit first)"),
    Entry("an absolute path as id", lambda p: p.sheet(case="/etc/x"),
        says="case '/etc/x': the id cannot name a folder everywhere (letters, digits, '.', '_' and '-', at most "
             "100, a letter or digit first)"),
    Entry("an id that bash would run", lambda p: p.sheet(case="$(touch payload-ran)"),
        says="case '$(touch payload-ran)': the id cannot name a folder everywhere (letters, digits, '.', '_' and "
             "'-', at most 100, a letter or digit first)"),
    Entry("an id that looks like an option", lambda p: p.sheet(case="-rf"),
        says="case '-rf': the id cannot name a folder everywhere (letters, digits, '.', '_' and '-', at most 100, "
             "a letter or digit first)"),
    Entry("an id with a space", lambda p: p.sheet(case="patient 1"),
        says="case 'patient 1': the id cannot name a folder everywhere (letters, digits, '.', '_' and '-', at "
             "most 100, a letter or digit first)"),
    Entry("an id with an umlaut", lambda p: p.sheet(case="Müller"),
        says="case 'Müller': the id cannot name a folder everywhere (letters, digits, '.', '_' and '-', at most "
             "100, a letter or digit first)"),
    Entry("an id twice", lambda p: p.sheet(case="p2"),
        says="case 'p2': the id occurs more than once (every id once, upper and lower case alike)"),
    Entry("ids that differ in upper and lower case alone", lambda p: p.sheet(case="P2"),
        says="case 'P2': the id occurs more than once (every id once, upper and lower case alike)"),
    Entry("Latin-1", lambda p: p.sheet("case,fixed_t1ce\nmüller,a\n".encode("latin-1")),
        says="sheet.csv: cannot be read as text (a CSV file in UTF-8)"),
    Entry("a null character", lambda p: p.sheet("case,fixed_t1ce,moving_t1ce\np,a\0,b\n"),
        says="sheet.csv: holds a null character (a CSV file in UTF-8)"),
    Entry("a cell of 200000 letters", lambda p: p.sheet("case,fixed_t1ce\np," + "a" * 200_000 + "\n"),
        says="sheet.csv: is not a CSV file: field larger than field limit (131072) (a header row and one row a case)"),
    Entry("semicolons", lambda p: p.sheet(p.sheet().read_text().replace(",", ";")), accepted="as commas",
          right=as_sound),
    Entry("CRLF and a byte order mark", lambda p: p.sheet("\ufeff" + p.sheet().read_text().replace("\n", "\r\n")),
          accepted="as without", right=as_sound),
    Entry("spaces around commas", lambda p: p.sheet(p.sheet().read_text().replace(",", " , ")), accepted="as without",
          right=as_sound),
    Entry("a quoted name with a comma", _quoted, accepted="as it is", right=checked),
    Entry("names relative to the sheet", lambda p: p.sheet(p.sheet().read_text().replace(f"{p.root}/", "")),
          accepted="relative to the sheet's folder", right=as_sound),
]  # fmt: skip

SETTINGS = [
    Entry(
        "an unknown modality",
        lambda p: p.check(p.cohort, "--set", "modalities=t1ce,t9"),
        says="modalities: no scan of the cohort has t9 (they have t1ce, t2)",
    ),
    Entry(
        "no modality",
        lambda p: p.check(p.cohort, "--set", "modalities=,"),
        says="modalities: '()' is not allowed (Tuple should have at least 1 item after validation, not 0)",
    ),
    Entry(
        "a modality twice",
        lambda p: p.check(p.cohort, "--set", "modalities=t1ce,t1ce"),
        says="modalities: 't1ce,t1ce' is not allowed (each once)",
    ),
    Entry(
        "a preset's name is misspelled",
        lambda p: p.check(p.cohort, "--set", "preset=bst"),
        says="preset: 'bst' is not a preset (one of paper, best)",
    ),
    Entry(
        "a setting's name is misspelled",
        lambda p: p.check(p.cohort, "--set", "spacing_m=2"),
        says="spacing_m: is not a setting (did you mean spacing_mm?)",
    ),
    Entry(
        "a setting without a value",
        lambda p: p.check(p.cohort, "--set", "seed"),
        says="--set: 'seed' has no value (NAME=VALUE)",
    ),
    Entry(
        "a value out of range",
        lambda p: p.check(p.cohort, "--set", "levels=99"),
        says="levels: '99' is not allowed (Input should be less than or equal to 6)",
    ),
    Entry(
        "an even window",
        lambda p: p.check(p.cohort, "--set", "lncc_window=8"),
        says="lncc_window: '8' is not allowed (an odd number)",
    ),
    Entry(
        "text in place of a number",
        lambda p: p.check(p.cohort, "--set", "seed=one"),
        says="seed: 'one' is not allowed (Input should be a valid integer, unable to parse string as an integer)",
    ),
    Entry(
        "a spacing that is infinite",
        lambda p: p.check(p.cohort, "--set", "spacing_mm=inf"),
        says="spacing_mm: 'inf' is not allowed (Input should be a finite number)",
    ),
    Entry(
        "a weight that is NaN",
        lambda p: p.check(p.cohort, "--set", "lncc_weight=nan"),
        says="lncc_weight: 'nan' is not allowed (Input should be a finite number)",
    ),
]
