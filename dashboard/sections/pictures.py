"""A trial's pictures: original, reconstruction, and their differences on a scale that is stated."""

from __future__ import annotations

import streamlit as st

from dashboard.data import Store
from dashboard.links import with_store
from dashboard.text import escape_markdown, number
from sweeps.store import SweepImageView, SweepView, TrialPictureView, TrialView, picture_archive, picture_files

SCALES = (0.05, 0.1, 0.25, 0.5, 1.0)
DEFAULT_SCALE = 0.5


def scale_caption(scale: float) -> str:
    """Return a sentence that says what the colours of the difference views mean."""
    return (
        f"Differences are in units of the full range 0 to 1, all at the same scale ±{scale:g}. Signed: mid-grey is no "
        f"error, white means the reconstruction is brighter by {scale:g} or more, black darker by as much. "
        f"Absolute: black is no error, white an error of {scale:g} or more. Per colour channel."
    )


def originals(sweep: SweepView, trial: TrialView) -> list[SweepImageView]:
    """Return the originals this trial could have reconstructed: the searched ones, and others it has pictures of."""
    made = {picture.image for picture in trial.pictures}
    found: dict[str, SweepImageView] = {}
    for image in sorted(sweep.images, key=lambda image: image.split != "search"):
        if image.split == "search" or image.image in made:
            found.setdefault(image.image, image)
    return list(found.values())


def picture_at(trial: TrialView, image: str, step: int | None) -> TrialPictureView | None:
    """Return the picture after ``step`` iterations, the final one for None; None when it was not kept."""
    for picture in trial.pictures:
        if picture.image == image and (picture.final if step is None else picture.step == step and not picture.final):
            return picture
    return None


def pictures_section(store: Store, sweep: SweepView, trial: TrialView) -> None:
    """Draw a row a picture: original, reconstruction, signed and absolute difference."""
    st.subheader("Pictures", anchor="pictures")
    if not trial.pictures:
        _not_kept(store, sweep, trial)
        return
    with st.container(horizontal=True, gap="large", vertical_alignment="bottom"):
        step = _step(trial)
        scale = st.select_slider(
            "Difference scale",
            SCALES,
            value=DEFAULT_SCALE,
            format_func=lambda value: f"±{value:g}",
            key="scale",
            bind="query-params",
            width=280,
            help="The error shown as full black or white; one scale for all pictures.",
        )
    for image in originals(sweep, trial):
        _row(store, trial, image, step, scale)
    st.caption(scale_caption(scale))
    st.download_button(
        "Download the pictures",
        lambda: picture_archive(picture_files(store.reader, sweep, trial)),
        file_name=f"{sweep.name}-trial-{trial.number}.zip",
        mime="application/zip",
        icon=":material/download:",
        on_click="ignore",
        help="Originals, reconstructions, differences and kept iterations as PNG files in one ZIP archive.",
    )


def _step(trial: TrialView) -> int | None:
    """Draw the choice of snapshot; return its iteration, None for the final picture."""
    steps = sorted({picture.step for picture in trial.pictures if not picture.final})
    if not steps:
        return None
    last = max((picture.step for picture in trial.pictures if picture.final), default=None)
    labels = {str(step): f"{step}" for step in steps}
    if last is not None:
        labels["final"] = f"{last} (final)"
    chosen = st.select_slider(
        "Iteration", list(labels), value=list(labels)[-1], format_func=labels.__getitem__, key="step",
        bind="query-params", width=280,
    )  # fmt: skip
    return None if chosen == "final" else int(chosen)


def _row(store: Store, trial: TrialView, image: SweepImageView, step: int | None, scale: float) -> None:
    name = escape_markdown(image.image)
    st.markdown(f"**{name}**" + (" (validation)" if image.split == "validation" else ""))
    first, second, third, fourth = st.columns(4, gap="small")
    first.image(store.picture(image.sha256), caption="original", alt=f"original {image.image}")
    made = picture_at(trial, image.image, step)
    if made is None:
        second.caption("No picture of this iteration was kept.")
        return
    when = f"{made.step} iterations" + (", final" if made.final else "")
    second.image(store.picture(made.sha256), caption=f"reconstruction ({when})", alt=f"reconstruction of {image.image}")
    try:
        signed = store.difference(image.sha256, made.sha256, "signed", scale)
        absolute = store.difference(image.sha256, made.sha256, "absolute", scale)
    except ValueError as error:
        third.text(str(error))
        return
    third.image(signed, caption=f"signed difference, ±{number(scale)}", alt=f"signed difference of {image.image}")
    fourth.image(
        absolute, caption=f"absolute difference, 0 to {number(scale)}", alt=f"absolute difference of {image.image}"
    )


def _not_kept(store: Store, sweep: SweepView, trial: TrialView) -> None:
    if trial.state == "running":
        st.info("The pictures come when the trial ends.", icon=":material/hourglass_top:")
        return
    if trial.state == "failed":
        st.info("A failed trial leaves no pictures. This command runs it again:", icon=":material/hide_image:")
    else:
        st.info(
            "This trial's pictures were not kept (`save:` in the spec says which are). This command solves the trial "
            "again from the same seed and compares the metrics:",
            icon=":material/hide_image:",
        )
    st.code(with_store(store.url, "sweep", "replay", sweep.name, str(trial.number)), language="bash")
    shown = [image for image in sweep.images if image.split == "search"]
    for image, place in zip(shown, st.columns(4, gap="small"), strict=False):
        place.image(
            store.picture(image.sha256),
            caption=f"original {escape_markdown(image.image)}",
            alt=f"original {image.image}",
        )
