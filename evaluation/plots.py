"""Pictures of runs: how ranks fall, what is confused, where languages lie, and how alike they say one thing."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from evaluation.results import Run
from models.embedding import unit_length
from models.languages import language_table

POINTS_SHOWN = 3000
"""Clips of the projection, drawn at random if there are more: t-SNE takes half a minute, and a page holds no more."""
TSNE_LEAST = 60
"""Fewer clips are projected by PCA: t-SNE's neighbourhoods need some."""
CONFUSED_SHOWN = 18
LANGUAGES_SHOWN = 24
MARKERS = "o^sDvPX*"
LINES = ("-", "--", ":", "-.")


def plot_rank_curves(runs: Sequence[Run], path: Path) -> None:
    """Draw, for both directions, the share of searches whose first right answer is among the first k."""
    figure, axes = _figure(11, 4.8 + 0.22 * len(runs), columns=2)
    for axis, ranks_of, title, count in (
        (axes[0], "clip_ranks", "Pose → text: naming a clip", "prompts"),
        (axes[1], "text_ranks", "Text → pose: the first right clip", "clips"),
    ):
        for number, run in enumerate(runs):
            ranks, counts = np.unique(getattr(run, ranks_of), return_counts=True)
            share = np.cumsum(counts) / counts.sum()
            # From rank 1 to the last one possible, so that curves can be compared over the whole width.
            steps, heights = np.r_[1, ranks, run.metrics[count]], np.r_[share[0] * (ranks[0] == 1), share, 1]
            label = f"{_plain(run.name)} ({run.metrics['clips']} clips, {run.metrics['prompts']} prompts)"
            # Ten colours are all that eyes tell apart; strokes tell the rest.
            style = LINES[number // 10 % len(LINES)]
            axis.step(steps, heights, where="post", label=label, color=f"C{number % 10}", linestyle=style)
        axis.set(xscale="log", ylim=(0, 1.02), xlabel="rank k", ylabel="share of searches with rank ≤ k", title=title)
        axis.xaxis.set_major_formatter(mpl.ticker.ScalarFormatter())
        axis.grid(alpha=0.3)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", fontsize=8, frameon=False)
    _save(figure, path)


def plot_confusions(run: Run, path: Path) -> bool:
    """Draw the counts between the prompts that are most often taken for each other.

    Returns:
        False, and nothing drawn, if no clip was named wrongly.
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
    correct = np.bincount(prompt_of[~wrong], minlength=len(run.vectors.prompts))[rows]
    names = _shorten([str(run.vectors.prompts[prompt]) for prompt in rows])
    figure, axes = _figure(4.2 + 0.42 * len(rows), 3.2 + 0.36 * len(rows))
    image = _heat_map(axes[0], counts / clips[:, None], names, names, colours="Reds", limits=(0, 1))
    figure.colorbar(image, ax=axes[0], shrink=0.6, label="share of the right prompt's clips")
    for row, column in zip(*np.nonzero(counts), strict=True):
        colour = "white" if counts[row, column] > 0.6 * clips[row] else "black"
        axes[0].text(column, row, f"{counts[row, column]}", ha="center", va="center", color=colour, fontsize=9)
    for place, count in enumerate(correct):
        axes[0].text(place, place, f"{count}", ha="center", va="center", color="tab:green", fontsize=9, weight="bold")
    axes[0].set(xlabel="named", ylabel="right prompt")
    axes[0].set_title(
        f"{_plain(run.name)}: most confused prompts\n{int(wrong.sum())} of {len(wrong)} clips named wrongly; "
        "green: clips named rightly",
        fontsize=10,
    )
    _save(figure, path)
    return True


def plot_languages(run: Run, path: Path) -> None:
    """Draw clips in two dimensions, a colour and shape for each sign language."""
    chance = np.random.default_rng(0)
    shown = np.sort(chance.permutation(len(run.vectors.ids))[:POINTS_SHOWN])
    places, method = project(unit_length(run.vectors.pose[shown]))
    languages = run.vectors.sign_languages[shown]
    common = [tag for tag, _ in Counter(languages.tolist()).most_common(LANGUAGES_SHOWN)]
    figure, axes = _figure(10, 7)
    colours = mpl.colormaps["tab10"]
    for number, tag in enumerate(sorted(common)):
        of_tag = languages == tag
        # Ten colours are all that eyes tell apart; shapes tell the rest.
        marker, name = MARKERS[number // 10 % len(MARKERS)], _language_name(tag)
        x, y = places[of_tag].T
        axes[0].scatter(x, y, s=16, alpha=0.75, linewidths=0, label=name, color=colours(number % 10), marker=marker)
    rest = ~np.isin(languages, common)
    if rest.any():
        axes[0].scatter(places[rest, 0], places[rest, 1], s=8, color="lightgrey", label="others", zorder=0)
    axes[0].set(xticks=[], yticks=[], title=f"{_plain(run.name)}: {len(shown)} clips by sign language ({method})")
    axes[0].legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=8, frameon=False, markerscale=1.5)
    _save(figure, path)


def project(vectors: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float64], str]:
    """Reduce vectors to two dimensions; (rows, 2) and the method, t-SNE or, for few, PCA."""
    parts = min(50, *vectors.shape)
    with np.errstate(invalid="ignore"):  # the share of variance that a single or constant row explains
        reduced = PCA(parts, random_state=0).fit_transform(vectors.astype(np.float64))
    if len(vectors) < TSNE_LEAST:
        flat = np.zeros((len(vectors), 2))
        flat[:, : min(2, parts)] = reduced[:, :2]
        return flat, "PCA"
    tsne = TSNE(init="pca", perplexity=min(30.0, len(vectors) / 4), random_state=0)
    places: npt.NDArray[np.float64] = tsne.fit_transform(reduced)
    return places, "t-SNE"


def plot_concept(run: Run, path: Path, *, concept: str | None = None) -> bool:
    """Draw how alike the clips of one concept are over languages, and how alike to each language's prompt.

    Args:
        concept: a text of the data set; None: the one that most languages have.
    Returns:
        False, and nothing drawn, if fewer than two languages have it.
    """
    vectors = run.vectors
    concept = concept if concept is not None else _most_shared(run)
    of_concept = vectors.texts == concept
    tags = sorted(set(vectors.sign_languages[of_concept].tolist()) - {""})[:LANGUAGES_SHOWN]
    if len(tags) < 2:
        return False
    of_tags = [of_concept & (vectors.sign_languages == tag) for tag in tags]
    pose = unit_length(np.stack([unit_length(vectors.pose[rows]).mean(axis=0) for rows in of_tags]))
    prompts = np.stack([vectors.prompt_of[rows][0] for rows in of_tags])
    panels = [("clips and clips", pose @ pose.T)]
    if len(set(prompts.tolist())) == len(tags):
        panels.append(("clips and prompts", pose @ unit_length(vectors.text[prompts]).T))
    side = 2.2 + 0.36 * len(tags)
    figure, axes = _figure(side * 1.15 * len(panels), side, columns=len(panels))
    for axis, (title, cosines) in zip(axes, panels, strict=True):
        image = _heat_map(axis, cosines, tags, tags, colours="viridis")
        _number_fields(axis, image, cosines)
        axis.set_title(title, fontsize=10)
        axis.set(xlabel=title.rpartition(" ")[2], ylabel="clips")
        figure.colorbar(image, ax=axis, shrink=0.75, label="cosine")
    figure.suptitle(f"{_plain(run.name)}: “{_plain(concept)}” in {len(tags)} sign languages")
    _save(figure, path)
    return True


def _most_shared(run: Run) -> str:
    languages: dict[str, set[str]] = {}
    for text, tag in zip(run.vectors.texts.tolist(), run.vectors.sign_languages.tolist(), strict=True):
        languages.setdefault(text, set()).add(tag)
    return min(languages, key=lambda text: (-len(languages[text]), text))


def _language_name(tag: str) -> str:
    known = language_table().get(tag)
    return f"{tag}  {known.name}" if known else tag or "not stated"


def _shorten(names: list[str], limit: int = 28) -> list[str]:
    return [_plain(name if len(name) <= limit else f"{name[: limit - 1]}…") for name in names]


def _plain(text: str) -> str:
    # Matplotlib reads what stands between dollars as a formula.
    return text.replace("$", r"\$")


def _heat_map(
    axis: Axes,
    values: npt.NDArray[np.floating],
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


def _number_fields(axis: Axes, image: mpl.image.AxesImage, values: npt.NDArray[np.floating]) -> None:
    for row, column in np.ndindex(values.shape):
        red, green, blue, _ = image.cmap(image.norm(values[row, column]))
        # Luminance of BT.601: light numbers on dark fields.
        dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
        colour = "white" if dark else "black"
        axis.text(column, row, f"{values[row, column]:.2f}", ha="center", va="center", color=colour, fontsize=6.5)


def _figure(width: float, height: float, *, columns: int = 1) -> tuple[Figure, list[Axes]]:
    # No pyplot: it keeps every figure, and asks for a screen.
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, list(np.atleast_1d(figure.subplots(1, columns)))


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
