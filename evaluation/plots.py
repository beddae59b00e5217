"""Plots of runs: rank curves, confusions, languages in two dimensions, and one concept in several languages."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from corpora.arrays import Float32Array, Float64Array, FloatArray
from evaluation.published import DIRECTIONS
from evaluation.results import Run
from models.languages import read_languages
from models.vectors import normalize_vectors

# Clips in the projection; of more clips as many are drawn at random. For these t-SNE takes half a minute.
POINTS_SHOWN = 3000
# Fewer clips than this are projected by PCA, because t-SNE needs neighbours.
TSNE_LEAST = 60
CONFUSED_SHOWN = 18
LANGUAGES_SHOWN = 24
# Each language has a letter of its own, because readers can distinguish about ten colours.
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
# The metrics of the comparison of runs, by direction.
COMPARED = {"pose_to_text": ("R@1", "R@5", "R@10"), "text_to_pose": ("P@1", "P@5", "P@10")}
LINES = ("-", "--", ":", "-.")


def plot_rank_curves(runs: Sequence[Run], path: Path) -> None:
    """Draw the share of searches whose first right answer is among the first k, for both directions."""
    figure, axes = _make_figure(11, 4.8 + 0.22 * len(runs), columns=2)
    for axis, ranks_of, title, count in (
        (axes[0], "clip_ranks", "Pose → text: naming a clip", "prompts"),
        (axes[1], "text_ranks", "Text → pose: the first right clip", "clips"),
    ):
        for number, run in enumerate(runs):
            ranks, counts = np.unique(getattr(run, ranks_of), return_counts=True)
            share = np.cumsum(counts) / counts.sum()
            # Each curve goes from rank 1 to the last possible rank, so that curves can be compared everywhere.
            steps, heights = np.r_[1, ranks, run.metrics[count]], np.r_[share[0] * (ranks[0] == 1), share, 1]
            label = f"{_escape(run.name)} ({run.metrics['clips']} clips, {run.metrics['prompts']} prompts)"
            # Readers can distinguish about ten colours. Further runs have other line styles.
            style = LINES[number // 10 % len(LINES)]
            axis.step(steps, heights, where="post", label=label, color=f"C{number % 10}", linestyle=style)
        axis.set(xscale="log", ylim=(0, 1.02), xlabel="rank k", ylabel="share of searches with rank ≤ k", title=title)
        axis.xaxis.set_major_formatter(mpl.ticker.ScalarFormatter())
        axis.grid(alpha=0.3)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", fontsize=8, frameon=False)
    _save(figure, path)


def plot_comparison(runs: Sequence[Run], path: Path) -> None:
    """Draw the metrics of several runs below each other, with their 95 % intervals where they are recorded."""
    figure, axes = _make_figure(11, 1.8 + 0.5 * len(runs), columns=2)
    for axis, (direction, names) in zip(axes, COMPARED.items(), strict=True):
        for shift, (name, marker) in enumerate(zip(names, "o^s", strict=True)):
            places = np.arange(len(runs)) + 0.2 * (shift - 1)
            values = np.array([run.metrics[direction].get(name, np.nan) for run in runs])
            ends = [run.metrics.get("intervals", {}).get(direction, {}).get(name) for run in runs]
            given = zip(ends, values, strict=True)
            errors = np.array([(0, 0) if end is None else (value - end[0], end[1] - value) for end, value in given])
            # An end may pass the mean by a rounding error.
            axis.errorbar(
                values, places, xerr=errors.T.clip(min=0), fmt=marker, color=f"C{shift}", label=name, capsize=2
            )
        axis.set(xlim=(0, 1.02), ylim=(len(runs) - 0.5, -0.5), title=DIRECTIONS[direction])
        axis.set_yticks(
            range(len(runs)), _shorten([run.name.replace(", retrieval", "") for run in runs], limit=80), fontsize=8
        )
        axis.grid(axis="x", alpha=0.3)
        axis.legend(fontsize=8, frameon=False)
    axes[1].set_yticklabels([])
    _save(figure, path)


def plot_confusions(run: Run, path: Path) -> bool:
    """Draw how often the most confused prompts are taken for each other.

    Returns:
        Whether there is a plot. There is none if every clip was named correctly, or if the confused prompts have one
        clip each: nothing is then confused more often than anything else, and errors.csv says more.
    """
    prompt_of, named = run.vectors.prompt_of, run.named
    wrong = prompt_of != named
    pairs = Counter(zip(prompt_of[wrong].tolist(), named[wrong].tolist(), strict=True))
    if not pairs:
        return False
    shown: dict[int, None] = {}
    for pair, _ in sorted(pairs.items(), key=lambda item: (-item[1], item[0])):
        if len(shown.keys() | set(pair)) <= CONFUSED_SHOWN:
            shown |= dict.fromkeys(pair)
    rows = sorted(shown, key=lambda prompt: str(run.vectors.prompts[prompt]))
    counts = np.array([[pairs[right, taken] for taken in rows] for right in rows])
    clips = np.bincount(prompt_of, minlength=len(run.vectors.prompts))[rows]
    if clips.max() == 1:
        return False
    correct = np.bincount(prompt_of[~wrong], minlength=len(run.vectors.prompts))[rows]
    names = _shorten([str(run.vectors.prompts[prompt]) for prompt in rows])
    figure, axes = _make_figure(4.2 + 0.42 * len(rows), 3.2 + 0.36 * len(rows))
    image = _draw_heat_map(axes[0], counts / clips[:, None], names, names, colours="Reds", limits=(0, 1))
    figure.colorbar(image, ax=axes[0], shrink=0.6, label="share of the right prompt's clips")
    for row, column in zip(*np.nonzero(counts), strict=True):
        colour = "white" if counts[row, column] > 0.6 * clips[row] else "black"
        axes[0].text(column, row, f"{counts[row, column]}", ha="center", va="center", color=colour, fontsize=9)
    for place, count in enumerate(correct):
        axes[0].text(place, place, f"{count}", ha="center", va="center", color="tab:green", fontsize=9, weight="bold")
    axes[0].set(xlabel="named", ylabel="right prompt")
    axes[0].set_title(
        f"{_escape(run.name)}: most confused prompts\n{int(wrong.sum())} of {len(wrong)} clips named wrongly, "
        "in green the clips named correctly",
        fontsize=10,
    )
    _save(figure, path)
    return True


def plot_languages(run: Run, path: Path) -> None:
    """Draw clips in two dimensions, with a letter and a colour for each sign language."""
    rng = np.random.default_rng(0)
    shown = np.sort(rng.permutation(len(run.vectors.ids))[:POINTS_SHOWN])
    places, method = project(normalize_vectors(run.vectors.pose[shown]))
    languages = run.vectors.sign_languages[shown]
    common = [tag for tag, _ in Counter(languages.tolist()).most_common(LANGUAGES_SHOWN)]
    figure, axes = _make_figure(10, 7)
    colours = mpl.colormaps["tab10"]
    for number, tag in enumerate(sorted(common)):
        of_tag = languages == tag
        marker, name = f"${LETTERS[number]}$", _find_language_name(tag)
        x, y = places[of_tag].T
        axes[0].scatter(x, y, s=36, alpha=0.85, linewidths=0, label=name, color=colours(number % 10), marker=marker)
    others = ~np.isin(languages, common)
    if others.any():
        axes[0].scatter(places[others, 0], places[others, 1], s=8, color="lightgrey", label="others", zorder=0)
    axes[0].set(xticks=[], yticks=[], title=f"{_escape(run.name)}: {len(shown)} clips by sign language ({method})")
    axes[0].legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=8, frameon=False, markerscale=1.5)
    _save(figure, path)


def project(vectors: Float32Array) -> tuple[Float64Array, str]:
    """Project vectors to two dimensions.

    Args:
        vectors: float32 (rows, dim).
    Returns:
        float64 (rows, 2), and the method: "t-SNE", or "PCA" for fewer than 60 rows.
    """
    parts = min(50, *vectors.shape)
    with np.errstate(invalid="ignore"):  # A single row or equal rows have no variance to explain.
        reduced = PCA(parts, random_state=0).fit_transform(vectors.astype(np.float64))
    if len(vectors) < TSNE_LEAST:
        flat = np.zeros((len(vectors), 2))
        flat[:, : min(2, parts)] = reduced[:, :2]
        return flat, "PCA"
    tsne = TSNE(init="pca", perplexity=min(30.0, len(vectors) / 4), random_state=0)
    places: Float64Array = tsne.fit_transform(reduced)
    return places, "t-SNE"


def plot_concept(run: Run, path: Path, *, concept: str | None = None) -> bool:
    """Draw how similar the clips of one concept are between languages, and how similar to each language's prompt.

    Args:
        concept: a text of the data set; None: the text that most languages have.
    Returns:
        Whether there is a plot. There is none if fewer than two languages have the concept.
    """
    vectors = run.vectors
    concept = concept if concept is not None else _find_most_shared(run)
    of_concept = vectors.texts == concept
    tags = sorted(set(vectors.sign_languages[of_concept].tolist()) - {""})[:LANGUAGES_SHOWN]
    if len(tags) < 2:
        return False
    of_tags = [of_concept & (vectors.sign_languages == tag) for tag in tags]
    pose = normalize_vectors(np.stack([normalize_vectors(vectors.pose[rows]).mean(axis=0) for rows in of_tags]))
    prompts = np.stack([vectors.prompt_of[rows][0] for rows in of_tags])
    panels = [("clips and clips", pose @ pose.T)]
    if len(set(prompts.tolist())) == len(tags):
        panels.append(("clips and prompts", pose @ normalize_vectors(vectors.text[prompts]).T))
    side = 2.2 + 0.36 * len(tags)
    figure, axes = _make_figure(side * 1.15 * len(panels), side, columns=len(panels))
    for axis, (title, cosines) in zip(axes, panels, strict=True):
        image = _draw_heat_map(axis, cosines, tags, tags, colours="viridis")
        _write_values(axis, image, cosines)
        axis.set_title(title, fontsize=10)
        axis.set(xlabel=title.rpartition(" ")[2], ylabel="clips")
        figure.colorbar(image, ax=axis, shrink=0.75, label="cosine")
    figure.suptitle(f"{_escape(run.name)}: “{_escape(concept)}” in {len(tags)} sign languages")
    _save(figure, path)
    return True


def _find_most_shared(run: Run) -> str:
    languages: dict[str, set[str]] = {}
    for text, tag in zip(run.vectors.texts.tolist(), run.vectors.sign_languages.tolist(), strict=True):
        languages.setdefault(text, set()).add(tag)
    return min(languages, key=lambda text: (-len(languages[text]), text))


def _find_language_name(tag: str) -> str:
    known = read_languages().get(tag)
    return f"{tag}  {known.name}" if known else tag or "not stated"


def _shorten(names: list[str], limit: int = 28) -> list[str]:
    return [_escape(name if len(name) <= limit else f"{name[: limit - 1]}…") for name in names]


def _escape(text: str) -> str:
    # Matplotlib would read the text between two dollar signs as a formula.
    return text.replace("$", r"\$")


def _draw_heat_map(
    axis: Axes,
    values: FloatArray,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    colours: str,
    limits: tuple[float | None, float | None] = (None, None),
) -> mpl.image.AxesImage:
    image = axis.imshow(values, cmap=colours, aspect="auto", vmin=limits[0], vmax=limits[1])
    axis.set_xticks(range(len(columns)), columns, rotation=90, fontsize=8)
    axis.set_yticks(range(len(rows)), rows, fontsize=8)
    return image


def _write_values(axis: Axes, image: mpl.image.AxesImage, values: FloatArray) -> None:
    for row, column in np.ndindex(values.shape):
        red, green, blue, _ = image.cmap(image.norm(values[row, column]))
        # Luminance of BT.601, to write light numbers on dark fields.
        dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
        colour = "white" if dark else "black"
        axis.text(column, row, f"{values[row, column]:.2f}", ha="center", va="center", color=colour, fontsize=6.5)


def _make_figure(width: float, height: float, *, columns: int = 1) -> tuple[Figure, list[Axes]]:
    # Without pyplot, which keeps every figure in memory and needs a screen.
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, list(np.atleast_1d(figure.subplots(1, columns)))


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
