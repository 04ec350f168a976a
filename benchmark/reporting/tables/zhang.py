"""A table in the shape of Zhang et al. 2023, Table 2: images and the single images that they came from."""

from benchmark.reporting.tables.record import Cell, Column, Key, LeftOut, Table
from benchmark.reporting.tables.run import Run
from benchmark.reporting.tables.segal import measured

NAME, PATIENTS = "single_image", "two real patients"
METRICS = ("sifid", "ssim", "psnr")


def tables(run: Run) -> list[Table | LeftOut]:
    """SIFID, SSIM and PSNR of samples and their source images."""
    cells: dict[tuple[Key, Key], Cell] = {}
    columns: dict[str, None] = {}
    for metric in METRICS:
        for row, (_, measure) in measured(run, metric).items():
            title = measure.card.title if measure.card else metric.upper()
            columns[title] = None
            cells[(PATIENTS,), (title,)] = Cell(measure.floor)
            spread = measure.fit_range or (None, None)
            cells[(row,), (title,)] = Cell(measure.value, low=spread[0], high=spread[1])
    if not cells:
        return [LeftOut(NAME, "no row has a metric of samples and their source images")]
    extractor = next((m.card.extractor for _, m in measured(run, "sifid").values() if m.card), None)
    return [
        Table(
            name=NAME,
            title="Samples and their source images",
            caption="Mean over the samples of each with the training image that it came from"
            f"{f'; SIFID with the features of {extractor}' if extractor else ''}. {PATIENTS.capitalize()} of "
            "one class stand for no resemblance; a copy has SIFID 0 and SSIM 1. In brackets: the range over "
            "fits. "
            f"After Zhang et al. 2023, Table 2. {run.sentence()}",
            row_heads=("Row",),
            column_heads=("",),
            columns=tuple(Column((title,), "decimal") for title in columns),
            cells=cells,
        )
    ]
