"""Tables beside published metrics, and plots, from runs made up here."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from evaluation import report
from evaluation.comparison import compare_pair, compare_with_first
from evaluation.errors import EvaluationError, PublishedError, RunFolderError
from evaluation.plots import plot_confusions, project
from evaluation.published import find_published_test, list_published_tests, read_published
from evaluation.results import read_run, search_corpus, write_run
from evaluation.tables import compare_runs, compares_alike, format_results
from evaluation.vectors import EmbeddedCorpus

EXPERIMENT = "signclip_v1_1/baseline_temporal"


def write_example_run(
    folder, *, noise, experiment=None, concepts=("house", "sun", "5 $ or 6 $"), tags=("ase", "gsg", "zz")
):
    rng = np.random.default_rng(3)
    pairs = [(text, tag) for text in concepts for tag in tags]
    text = rng.normal(size=(len(pairs), 8)).astype(np.float32)
    prompt_of = np.repeat(np.arange(len(pairs)), 3)
    vectors = EmbeddedCorpus(
        ids=np.array([f"clip{row}" for row in range(len(prompt_of))]),
        texts=np.array([pairs[row][0] for row in prompt_of]),
        sign_languages=np.array([pairs[row][1] for row in prompt_of]),
        pose=(text[prompt_of] + rng.normal(0, noise, (len(prompt_of), 8))).astype(np.float32),
        prompt_of=prompt_of,
        prompts=np.array([f"<en> <{tag}> {concept}" for concept, tag in pairs]),
        text=text,
    )
    results = search_corpus(vectors, score="cosine")
    metrics = {
        "experiment": experiment,
        **{"model": "m", "dataset": "spreadthesign", "split": "test", "task": "retrieval"},
        **{"clips": len(prompt_of), "prompts": len(pairs)},
        **results.summarize(prompt_of),
        "intervals": json.loads(json.dumps(results.estimate_intervals(prompt_of))),
    }
    write_run(folder, metrics, vectors=vectors, results=results)
    return metrics


def _rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def runs(tmp_path):
    write_example_run(tmp_path / "good", noise=0.01, experiment=EXPERIMENT)
    write_example_run(tmp_path / "bad", noise=3.0)
    return [tmp_path / "good", tmp_path / "bad"]


def test_a_run_is_read_as_written(tmp_path):
    metrics = write_example_run(tmp_path / "run", noise=0.01)
    run = read_run(tmp_path / "run")
    assert run.metrics == metrics
    assert metrics["pose_to_text"]["R@1"] == metrics["text_to_pose"]["P@1"] == 1.0
    assert (run.clip_ranks == 1).all()
    assert run.vectors.prompts[run.named].tolist() == run.vectors.prompts[run.vectors.prompt_of].tolist()
    assert (tmp_path / "run" / "errors.csv").read_text().count("\n") == 1
    row = _rows(tmp_path / "run" / "row.csv")[0]
    assert (row["pose_to_text R@1"], row["clips"]) == ("1.0", "27")


def test_errors_are_the_wrong_clips_worst_first(runs):
    run = read_run(runs[1])
    rows = _rows(runs[1] / "errors.csv")
    ranks = [int(row["rank"]) for row in rows]
    assert ranks == sorted(run.clip_ranks[run.clip_ranks > 1].tolist(), reverse=True)
    assert all(float(row["named_score"]) >= float(row["score"]) and row["named"] != row["prompt"] for row in rows)


def test_each_class_has_a_row_the_worst_first(runs):
    run = read_run(runs[1])
    rows = _rows(runs[1] / "classes.csv")
    assert sorted(row["prompt"] for row in rows) == sorted(run.vectors.prompts.tolist())
    shares = [float(row["R@1"]) for row in rows]
    assert shares == sorted(shares)
    assert np.mean(shares) == pytest.approx(run.metrics["pose_to_text"]["class_R@1"], abs=1e-4)
    named = {row["prompt"]: (int(row["clips"]), float(row["mean_rank"])) for row in rows}
    ranks = run.clip_ranks[run.vectors.prompt_of == 4]
    assert named[run.vectors.prompts[4]] == (3, pytest.approx(ranks.mean(), rel=1e-3))


def test_report_of_two_runs(runs, tmp_path, capsys):
    assert report.main([*map(str, runs), "--out", str(tmp_path / "out")]) == 0
    text = (tmp_path / "out" / "report.md").read_text()
    about = f"| {EXPERIMENT} | m | spreadthesign test | retrieval | 27 (4531) | 9 (4522)"
    row = f"{about} | 1.000 (0.386)† | 1.000 (0.693)† |"
    assert row in text
    assert "† Not comparable" in text
    pictures = sorted(path.name for path in (tmp_path / "out").glob("*.png"))
    # Rank curves and the comparison; languages; nothing confused in the good run; concepts.
    assert len(pictures) == 2 + 2 + 1 + 2
    assert max(map(len, pictures)) <= 60
    assert all(f"({name})" in text for name in pictures)
    assert all((tmp_path / "out" / name).read_bytes().startswith(b"\x89PNG") for name in pictures)
    rows = _rows(tmp_path / "out" / "results.csv")
    assert rows[0]["published pose_to_text R@1"] == "0.3862"
    assert (rows[0]["clips"], rows[0]["published clips"], rows[0]["published hours"]) == ("27", "4531", "62.0")
    assert rows[1]["published pose_to_text R@1"] == ""
    printed = capsys.readouterr().out
    assert "report.md" in printed
    # Aligned on the terminal, Markdown in the file.
    assert "|" not in printed
    assert "| run | compared with |" in text
    assert "- m on spreadthesign, retrieval: folder " in text
    (differing,) = [row for row in _rows(tmp_path / "out" / "differences.csv") if row["metric"] == "MRR"][:1]
    assert float(differing["difference"]) < 0
    assert float(differing["p"]) < 0.01


def test_only_runs_on_the_same_clips_are_compared(runs, tmp_path):
    good, bad = map(read_run, runs)
    assert {row["direction"] for row in compare_pair(good, bad)} == {"pose_to_text", "text_to_pose"}
    order = np.random.default_rng(0).permutation(len(bad.clip_ranks))
    vectors = replace(bad.vectors, ids=bad.vectors.ids[order])
    shuffled = replace(bad, vectors=vectors, clip_ranks=bad.clip_ranks[order])
    assert compare_pair(good, shuffled) == compare_pair(good, bad)
    other_prompts = replace(bad, vectors=replace(bad.vectors, prompts=np.char.add(bad.vectors.prompts, "!")))
    assert {row["direction"] for row in compare_pair(good, other_prompts)} == {"pose_to_text"}
    other_clips = replace(bad, vectors=replace(bad.vectors, ids=np.char.add(bad.vectors.ids, "!")))
    assert compare_pair(good, other_clips) == []
    assert [row["compared with"] for row in compare_with_first([good, other_clips, bad])][:1] == [good.name]


def test_a_run_of_an_earlier_version_can_be_reported(runs, tmp_path):
    metrics = json.loads((runs[0] / "metrics.json").read_text())
    del metrics["intervals"], metrics["pose_to_text"]["MRR"]
    (runs[0] / "metrics.json").write_text(json.dumps(metrics))
    report.write_report([read_run(run) for run in runs], tmp_path / "out")
    assert (tmp_path / "out" / "report.md").read_text().count("] |") > 0


def test_confusions_of_single_clips_have_no_plot(tmp_path):
    write_example_run(tmp_path / "run", noise=3.0)
    run = read_run(tmp_path / "run")
    assert plot_confusions(run, tmp_path / "some.png")
    single = np.arange(len(run.vectors.prompts))
    vectors = replace(run.vectors, prompt_of=single)
    assert not plot_confusions(replace(run, vectors=vectors, named=np.roll(single, 1)), tmp_path / "none.png")


def test_probes_are_tabled_with_their_spread(runs, tmp_path):
    metrics = json.loads((runs[0] / "metrics.json").read_text())
    means = {"R@1": 0.5, "R@5": 0.75, "R@10": 1.0, "median_rank": 1.5, "mean_rank": 2.0}
    row = {"probe": "nearest_means", "shots": 5, "clips": 9, "classes": 3, "by_seed": {"0": {}, "1": {}}}
    spread = dict.fromkeys(means, 0.1)
    once = dict.fromkeys(means)
    metrics["probes"] = [{**row, "mean": means, "spread": spread}, {**row, "mean": means, "spread": once}]
    (runs[0] / "metrics.json").write_text(json.dumps(metrics))
    report.write_report([read_run(runs[0])], tmp_path / "out")
    text = (tmp_path / "out" / "report.md").read_text()
    assert "| m | spreadthesign | nearest means | 5 | 3 | 9 | 2 | 0.500 ± 0.100 | 0.750 ± 0.100 |" in text
    assert "| 2 | 0.500 | 0.750 | 1.000 | 1.5 |" in text


def test_every_published_figure_can_be_listed(runs):
    published = read_published()
    rows = compare_runs([read_run(runs[0]).metrics], published, every=True)
    assert len(rows) == sum(len(list(list_published_tests(published, name))) for name in published)
    text = format_results(rows)
    name = "fingerclip/rwthfs_scratch_hand_dominant_aug"
    assert f"| {name} | – | rwth_fingerspelling | – | (153) | (35) | (0.935) | (1.000) | (1.000) | (1) |" in text
    assert (
        "| signclip_v1_1/baseline_temporal | – | asl_citizen | – | (?) | (?) | (0.024) | (0.079) | (0.118) | (187) |"
        in text
    )
    assert find_published_test(published, EXPERIMENT, "spreadthesign").metrics["pose_to_text median_rank"] == 2
    assert find_published_test(published, None, "spreadthesign") is None


def test_a_run_stands_beside_what_was_published_of_its_own_data_set(runs):
    published = read_published()
    metrics = read_run(runs[0]).metrics
    rows = {
        dataset: compare_runs([metrics | {"dataset": dataset}], published)[0]
        for dataset in ("asl_signs", "asl_citizen", "wlasl")
    }
    assert rows["asl_signs"]["published pose_to_text median_rank"] == 104
    assert rows["asl_signs"]["published clips"] == 3959
    assert rows["asl_citizen"]["published text_to_pose P@1"] == 0.0203
    assert not any(key.startswith("published") for key in rows["wlasl"])


def test_metrics_of_as_many_candidates_have_no_mark(runs):
    row = compare_runs([read_run(runs[0]).metrics], read_published())[0]
    alike = row | {"clips": 4531, "prompts": 4522}
    assert [compares_alike(each) for each in (row, alike, alike | {"published prompts": None})] == [False, True, False]
    assert "†" not in format_results([alike])
    assert "(0.386)†" in format_results([row])
    assert "(0.386)†" in format_results([alike | {"published clips": None}])


@pytest.mark.parametrize(
    "entry",
    [
        "{about: x}",
        "{pose_to_text: {R@2: 0.1}}",
        "{pose_to_txt: {R@1: 0.1}}",
        "{pose_to_text: {R@1: 1}, zero_shot: {a: {R@1: 1}}}",
    ],
)
def test_published_figures_that_no_table_knows(tmp_path, entry):
    path = tmp_path / "published.yaml"
    path.write_text(f"name: {entry}\n")
    with pytest.raises(PublishedError, match=r"name (on a )?has"):
        read_published(path)


def test_folders_without_a_run_are_refused(tmp_path, capsys):
    assert report.main([str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert "metrics.json" in capsys.readouterr().err


@pytest.mark.parametrize(("count", "method"), [(1, "PCA"), (2, "PCA"), (59, "PCA"), (70, "t-SNE")])
def test_projection_of_any_number(count, method):
    vectors = np.random.default_rng(0).normal(size=(count, 6)).astype(np.float32)
    places, used = project(vectors)
    assert (places.shape, used) == ((count, 2), method)
    assert np.isfinite(places).all()


def test_one_language_has_no_heat_map(tmp_path):
    write_example_run(tmp_path / "run", noise=0.01, tags=("ase",))
    written = report.write_report([read_run(tmp_path / "run")], tmp_path / "out")
    assert not [path for path in written if path.name.endswith("concept.png")]


@pytest.mark.parametrize(("published", "message"), [("a: 3", "not a mapping"), ("[1]", "not a mapping")])
def test_published_files_that_are_none(tmp_path, published, message):
    (tmp_path / "published.yaml").write_text(published)
    with pytest.raises(PublishedError, match=message):
        read_published(tmp_path / "published.yaml")


def test_a_run_without_its_figures_and_a_concept_that_nobody_has(runs, tmp_path, capsys):
    folder = runs[0]
    assert report.main([str(folder), "--out", str(tmp_path / "out"), "--concept", "unheard of"]) == 1
    assert "no run has the text 'unheard of'" in capsys.readouterr().err
    kept = (folder / "metrics.json").read_text()
    (folder / "metrics.json").write_text("{}")
    assert report.main([str(folder), "--out", str(tmp_path / "out")]) == 1
    assert "metrics.json lacks experiment" in capsys.readouterr().err
    (folder / "metrics.json").write_text(kept)


@pytest.mark.parametrize("name", ["metrics.json", "rankings.npz", "embeddings.npz"])
@pytest.mark.parametrize("damage", [b"", b"half a file", None])
def test_damaged_runs_are_refused_by_their_folder(tmp_path, name, damage):
    write_example_run(tmp_path / "run", noise=0.01)
    path = tmp_path / "run" / name
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage)
    with pytest.raises(RunFolderError, match=rf"run holds {'no' if damage is None else 'a damaged'} evaluation"):
        read_run(tmp_path / "run")


def test_vectors_that_are_no_numbers_cannot_be_searched():
    vectors = EmbeddedCorpus(
        *(np.array(["a"]), np.array(["x"]), np.array(["ase"]), np.full((1, 4), np.nan, np.float32)),
        *(np.array([0]), np.array(["x"]), np.ones((1, 4), np.float32)),
    )
    with pytest.raises(EvaluationError, match=r"the model's vectors cannot be searched: .*NaN"):
        search_corpus(vectors)
