"""Miniature data sets, each in the form that the real one is published in, of the golden poses: `name(folder)`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
GOLDEN = Path(__file__).parent / "golden" / "poses"
FRAMES = {"house": 73, "ase_A": 21, "gsg_C": 26}


def place_pose(path: Path, pose: str = "ase_A") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(GOLDEN / f"{pose}.pose", path)
    return path


def place_text(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def kaggle_landmarks(frames: int, seed: int = 0) -> Floats:
    """Points as Kaggle has them, around shoulders 0.2 apart; the left hand is never seen."""
    random = np.random.default_rng(seed)
    values = random.normal((0.5, 0.5, 0), 0.1, (frames, 543, 3)).astype(np.float32)
    values[:, 489 + 11] = (0.6, 0.4, 0)
    values[:, 489 + 12] = (0.4, 0.4, 0)
    values[:, 468:489] = np.nan
    return values


def place_parquet(path: Path, landmarks: Floats, *, order: tuple[str, ...] | None = None) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sizes = {"face": 468, "left_hand": 21, "pose": 33, "right_hand": 21}
    kinds = [kind for kind in order or sizes for _ in range(sizes[kind])]
    places = [place for kind in order or sizes for place in range(sizes[kind])]
    frames = len(landmarks)
    numbers = np.repeat(np.arange(10, 10 + frames, dtype=np.int16), 543)
    table = {
        "frame": numbers,
        "row_id": [f"{f}-{k}-{p}" for f in range(frames) for k, p in zip(kinds, places, strict=True)],
        "type": kinds * frames,
        "landmark_index": np.array(places * frames, dtype=np.int16),
        **{axis: landmarks[..., i].ravel().astype(np.float64) for i, axis in enumerate("xyz")},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(table), path)
    return path


def rwth(into: Path) -> Path:
    place_text(into / "gesture_ids.txt", "1 = A", "2 = B", "3 = SCH")
    place_text(into / "train.txt", "1_1_1_cam1", "1_1_1_cam2", "2_3_2_cam2")
    place_text(into / "val.txt", "3_2_1_cam2")
    place_text(into / "test.txt", "4_2_1_cam2", "4_2_2_cam2")
    for clip in ("1_1_1_cam2", "2_3_2_cam2", "3_2_1_cam2", "4_2_1_cam2"):
        place_pose(into / "poses" / f"{clip}.pose")
    generator = np.random.default_rng(0)
    for clip in ("1_1_1_cam1", "1_1_1_cam2", "2_3_2_cam2", "3_2_1_cam2", "4_2_1_cam2", "4_2_2_cam2"):
        for kind, dim in (("s3d", 512), ("i3d", 1024)):
            folder = into / f"{kind}_feature"
            folder.mkdir(exist_ok=True)
            np.save(folder / f"{clip}.npy", generator.standard_normal((3, dim)).astype(np.float32))
    return into


def asl_signs(into: Path) -> Path:
    rows = ["path,participant_id,sequence_id,sign"]
    for number in range(40):
        path = f"train_landmark_files/{number % 3}/{1000 + number}.parquet"
        rows.append(f"{path},{number % 3},{1000 + number},{('blow', 'wait', 'cloud')[number % 3]}")
        if number < 39:
            place_parquet(into / path, kaggle_landmarks(2 + number % 3, number))
    place_text(into / "train.csv", *rows)
    return into


def spreadthesign(into: Path) -> Path:
    place_text(
        into / "spreadthesign.csv",
        "pose,videoLanguage,language,text",
        "1/a.pose,ase,en,house",
        '1/b.pose,gsg,en,"to go, to walk"',
        "1/b.pose,gsg,de,gehen",
        "2/gone.pose,fsl,en,house",
        "2/d.pose,bfi,en,house",
    )
    for split, rows in (("train", "0 1 2 3"), ("val", ""), ("test", "4")):
        place_text(into / f"{split}.txt", *rows.split())
    for pose in ("1/a", "1/b", "2/d"):
        place_pose(into / "poses" / f"{pose}.pose")
    return into


def asl_citizen(into: Path) -> Path:
    root = into / "ASL_Citizen"
    header = "Participant ID,Video file,Gloss,ASL-LEX Code"
    place_text(
        root / "splits" / "train.csv",
        header,
        "P1,03369501517929252-PROPOSE.mp4,PROPOSE,H_02_026",
        "P52,4.7299129501965353e-7-seedSOUR.mp4,SOUR,F_03_060",
        "P42,9717397360056315-ALL GONE.mp4,ALLGONE,J_03_021",
    )
    place_text(root / "splits" / "val.csv", header, "P20,251188813980209-ONLY ONE.mp4,ONLYONE,H_01_001")
    place_text(root / "splits" / "test.csv", header, "P6,11562742429028061-REMEMBER.mp4,REMEMBER2,C_02_014")
    for clip in ("03369501517929252-PROPOSE", "4.7299129501965353e-7-seedSOUR", "11562742429028061-REMEMBER"):
        place_pose(root / "poses" / f"{clip}.pose", "house")
    place_text(root / "videos" / "9717397360056315-ALL GONE.mp4", "a video")
    return into


def sem_lex(into: Path) -> Path:
    place_text(
        into / "semlex_metadata.csv",
        ",video_id,signer_id,duration,split,label_type,label",
        "0,vidA,16,1.9,train,asllex,think_chin_2",
        "1,vidA,16,1.9,train,signbank,THINK",
        "2,vidA,16,1.9,val,asllex,think_chin_2",
        "3,vidB,3,2.1,test,freetext,30_minute ",
        '4,vidC,3,2.1,test,asllex,"release, rescue"',
    )
    kaggle = kaggle_landmarks(4)
    iris = np.full((4, 10, 3), 0.5, dtype=np.float32)
    blocks = (kaggle[:, :468], iris, kaggle[:, 489:522], kaggle[:, 468:489], kaggle[:, 522:])
    for clip in ("train/vidA", "val/vidA", "test/vidB"):
        path = into / f"{clip}.npy"
        path.parent.mkdir(exist_ok=True)
        np.save(path, np.concatenate(blocks, axis=1).astype(np.float16))
    return into


def wlasl(into: Path) -> Path:
    def instance(video: str, split: str, first: int = 1, last: int = -1) -> dict[str, object]:
        return {
            **{"bbox": [385, 37, 885, 720], "fps": 25, "frame_end": last, "frame_start": first, "instance_id": 0},
            **{"signer_id": 118, "source": "aslbrick", "split": split, "url": "…/book.mp4", "variation_id": 0},
            "video_id": video,
        }

    entries = [
        {"gloss": "book", "instances": [instance("69241", "train"), instance("07069", "test", 11, 20)]},
        {"gloss": "no_2", "instances": [instance("65225", "val"), instance("99999", "train")]},
    ]
    (into / "WLASL_v0.3.json").write_text(json.dumps(entries))
    for video in ("69241", "07069", "65225"):
        place_pose(into / "raw_poses" / f"{video}.pose", "house")
    return into


def autsl(into: Path) -> Path:
    place_text(into / "SignList_ClassId_TR_EN.csv", "ClassId,TR,EN", "0,abla,sister", "1,acele,hurry")
    clips = {
        "train": ("signer0_sample1,0", "signer1_sample2,1"),
        "val": ("signer2_sample1,0",),
        "test": ("signer3_sample1,1",),
    }
    for part, lines in clips.items():
        place_text(into / f"{'validation' if part == 'val' else part}_labels.csv", *lines)
        for line in lines:
            place_pose(into / part / f"{line.partition(',')[0]}_color.pose")
    return into


def signsuisse(into: Path) -> Path:
    header = "id,name,category,spokenLanguage,signedLanguage,example"
    place_text(into / "train.csv", header, "1,Haus,Wohnen,de,dsgs,Das Haus ist gross.", "2,maison,,fr,lsf-ch,")
    place_text(into / "val.csv", header)
    place_text(into / "test.csv", header, "3,casa,,it,lis-ch,La casa è grande.")
    for clip in ("poses/1", "poses/2", "poses/3", "example_poses/1"):
        place_pose(into / f"{clip}.pose")
    return into


def how2sign(into: Path) -> Path:
    header = "VIDEO_ID\tVIDEO_NAME\tSENTENCE_ID\tSENTENCE_NAME\tSTART_REALIGNED\tEND_REALIGNED\tSENTENCE"
    video = "-d5dN54tH2E-1-rgb_front"
    place_text(
        into / "how2sign_realigned_train.csv",
        header,
        f"-d5dN54tH2E\t{video}\t-d5dN54tH2E_0\t-d5dN54tH2E_0-1-rgb_front\t0.5\t1.02\tWe're going to go, slowly.",
        f"-d5dN54tH2E\t{video}\t-d5dN54tH2E_1\t-d5dN54tH2E_1-1-rgb_front\t1.5\t2\tHi!",
    )
    place_text(into / "how2sign_realigned_val.csv", header)
    place_text(into / "how2sign_realigned_test.csv", header, "x\tx-8-rgb_front\tx_0\tx_0-8-rgb_front\t0\t1\tGone.")
    place_pose(into / "poses" / "-d5dN54tH2E_1-1-rgb_front.pose", "ase_A")
    place_pose(into / "raw_poses" / f"{video}.pose", "house")
    return into


def chicago(into: Path) -> Path:
    place_text(
        into / "ChicagoFSWild.csv",
        '"","filename","url","start_time","number_of_frames","width","height","label_proc","label_raw","label_notes","partition","signer"',
        '"1","aslized/elsie_stecker_0001","https://…","00:01:02",36,640,360,"stecker","STECKER","","train","elsie"',
        '"2","youtube_2/fsl_(youtube)_0003","https://…","00:00:10",12,640,360,"b and b","B&B","","dev","anon 3"',
        '"3","aslthat/gone_0001","https://…","00:00:11",12,640,360,"gone","GONE","","test","x"',
    )
    place_pose(into / "pose" / "aslized-elsie_stecker_0001.pose")
    place_pose(into / "pose" / "youtube_2-fsl_0003.pose")
    return into


def dicta_sign(into: Path) -> Path:
    def entry(title: str, language: str, video: str, gloss: str) -> tuple[str, ...]:
        return (
            f'<div class="title-c">{title}</div><span class="title-l1">{language}&nbsp;</span>',
            f'<video><source src="./../{video}.webm" type="video/webm"></video>',
            f'<div class="gloss">{gloss}</div><div class="hns">\ue000</div>',
        )

    for number, english, german, greek in ((2, "wood", "Holz", "ξύλο"), (10, "A &amp; E", "Notaufnahme", "επείγοντα")):
        place_text(
            into / "cs" / f"cs_{number}.html",
            *("<html><body>", *entry(english, "BSL", f"bsl/{number}", "WOOD"), *entry(german, "DGS", "na", "HOLZ1")),
            *(*entry(greek, "GSL", f"gsl/{number}", "ΞΥΛΟ"), *entry("bois", "LSF", f"lsf/{number}", "BOIS")),
            "</body></html>",
        )
    place_pose(into / "poses" / "2_BSL.pose", "house")
    place_pose(into / "poses" / "2_GSL.pose")
    place_pose(into / "poses" / "10_GSL.pose", "gsg_C")
    place_pose(into / "lsf" / "10.pose")
    return into


def bobsl(into: Path) -> Path:
    def place(name: str, parts: dict[str, dict[str, list[tuple[str, float, float]]]]) -> None:
        content = {
            part: {
                word: dict(zip(("names", "global_times", "probs"), map(list, zip(*found, strict=True)), strict=True))
                for word, found in words.items()
            }
            for part, words in parts.items()
        }
        place_text(into / "spottings" / f"{name}_spottings.json", json.dumps(content))

    place("verified_dict", {"test": {"house": [("501", 0.52, 1.0), ("501", 0.04, 1.0)], "tree": [("999", 1.0, 1.0)]}})
    place("verified_mouthing", {"test": {"roof": [("502", 0.8, 1.0)]}})
    place("attention", {"train": {"house": [("501", 0.6, 0.1)]}, "val": {"roof": [("502", 0.6, 0.2)]}})
    place("dict", {"train": {"sun": [("501", 0.4, 0.79), ("502", 0.4, 0.8)], "_pointing": [("501", 0.5, 1.0)]}})
    for episode, pose in (("501", "house"), ("502", "house")):
        place_pose(into / "poses" / f"{episode}.pose", pose)
    return into


def lexicon(into: Path) -> Path:
    place_text(
        into / "index.csv",
        "path,spoken_language,signed_language,start,end,words,glosses,priority",
        "ase/one.pose,en,ase,0,2720,A,A,0",
        "gsg/two.pose,de,gsg,0,3000,C,C,0",
        "gsg/gone.pose,de,gsg,0,3000,D,D,0",
        "ase/one.pose,fr,fsl,0,2720,A,A,0",
    )
    place_pose(into / "ase" / "one.pose")
    place_pose(into / "gsg" / "two.pose", "gsg_C")
    return into


def manifest(into: Path) -> Path:
    place_text(
        into / "manifest.csv",
        "path,text,start_s,end_s,spoken_language,sign_language,split,signer",
        "clips/house.pose,house,,,en,ASL,train,me",
        "clips/house.pose,the roof,0.4,1.2,en,ase,train,me",
        "clips/gone.pose,gone,,,en,ase,train,me",
        "clips/a.pose,A,,,de,gsg,test,",
        "clips/c.mov,C,,,,,val,",
    )
    place_pose(into / "clips" / "house.pose", "house")
    place_pose(into / "clips" / "a.pose")
    place_text(into / "clips" / "c.mov", "a video")
    return into
