"""Lung findings of the three classes of Zhang et al. 2023, and their overlap.

Sign frequencies follow the annotated clips of the POCUS pack (dataset_metadata.csv, columns Effusion,
Consolidations, B-lines, Pleural line irregularities) where available. Severities are chosen for the
calibration in docs/data_cards/phantom_ultrasound.md.
"""

from dataclasses import dataclass, field

import numpy as np

from benchmark.phantoms.ultrasound.probe import Wave, wave

CLASSES = ("covid19", "pneumonia", "healthy")  # order of Zhang et al. 2023, Table 1


@dataclass(frozen=True)
class BLine:
    """A vertical artifact from the pleura; ``at`` and ``width`` in mm along the lung, ``level`` in dB."""

    at: float
    width: float
    level: float
    fade: float  # dB per mm of depth
    flicker: float  # phase of its modulation by breathing


@dataclass(frozen=True)
class Consolidation:
    """Subpleural consolidation: center, half width and depth in mm."""

    at: float
    half_width: float
    depth: float


@dataclass(frozen=True, eq=False)
class Finding:
    """The lung of one clip, independent of the chest wall.

    Attributes:
        thickness: of the pleural line, mm; rough: its irregularity, mm; broken: share of gaps.
        a_lines: strength of the reverberations, 0 to 1.
        haze: echo of the lung just below the pleura, dB; decay: dB per mm.
        shred: roughness of a consolidation's deep border (shred sign) as a share of its depth, 2 mm at most.
        echo: of consolidated lung, dB.
        bronchograms: air-filled airways per 10 square centimeters of consolidation.
        effusion: thickness of fluid above the lung, mm; debris: its echo, dB; deep_fluid: below the lung, mm.
        through_transmission: the beam passes the consolidation to the tissue behind it.
    """

    thickness: float
    rough: float
    broken: float
    a_lines: float
    haze: float
    decay: float
    b_lines: tuple[BLine, ...] = ()
    consolidations: tuple[Consolidation, ...] = ()
    shred: float = 0.2
    echo: float = -16.0
    bronchograms: float = 0.0
    effusion: float = 0.0
    effusion_at: float = 0.0
    effusion_width: float = 30.0
    debris: float = -48.0
    deep_fluid: float = 0.0
    through_transmission: bool = False
    border: Wave = field(default_factory=lambda: wave(np.random.default_rng(0), 6.0))
    seed: int = 0


def sample_finding(name: str, rng: np.random.Generator) -> Finding:
    """Sample the lung of one clip of a patient of class ``name``."""
    if name == "healthy":
        return Finding(**_base(rng))  # type: ignore[arg-type]
    return {"covid19": _covid, "pneumonia": _pneumonia}[name](rng)


def _base(rng: np.random.Generator) -> dict[str, object]:
    """Parameters of a normal lung."""
    return {
        "thickness": float(rng.uniform(0.7, 1.5)),
        "rough": float(rng.uniform(0.02, 0.15)),
        "broken": 0.0,
        "a_lines": float(rng.beta(1.0, 1.9)),
        "haze": float(rng.normal(-22, 2.5)),
        "decay": float(np.exp(rng.normal(-0.9, 0.4))),
        "b_lines": _b_lines(rng, int(rng.choice(3, p=[0.84, 0.11, 0.05])), strong=0.4),
        "border": wave(rng, 5.0),
        "seed": int(rng.integers(2**31)),
    }


def _b_lines(
    rng: np.random.Generator, n: int, *, strong: float, wide: float = 0.0, spread: float = 38.0
) -> tuple[BLine, ...]:
    """``n`` B-lines around one position; ``wide`` is the share of confluent ones."""
    middle = rng.normal(0, 14)
    return tuple(
        BLine(
            at=float(middle + rng.uniform(-spread, spread)),
            width=float(rng.uniform(4, 12) if rng.random() < wide else np.exp(rng.normal(0.35, 0.45))),
            level=float(-19 + 10 * strong + rng.normal(0, 3)),
            fade=float(rng.uniform(0.0, 0.1)),
            flicker=float(rng.uniform(0, 2 * np.pi)),
        )
        for _ in range(n)
    )


def _covid(rng: np.random.Generator) -> Finding:
    """Bilateral interstitial syndrome: B-lines, irregular pleura, small consolidations, spared areas."""
    base = _base(rng)
    severity = float(rng.beta(1.8, 1.3))
    if rng.random() < 0.05:  # a spared area
        return Finding(**base)  # type: ignore[arg-type]
    rough = rng.random() < 0.35 + 0.4 * severity
    n = int(rng.poisson(2 + 7 * severity))
    base["b_lines"] = _b_lines(rng, n, strong=0.3 + 0.7 * severity, wide=0.15 + 0.45 * severity)
    base["a_lines"] = float(base["a_lines"]) * (1 - 0.7 * severity)  # type: ignore[arg-type]
    base["decay"] = float(base["decay"]) * (1 - 0.6 * severity)  # type: ignore[arg-type]
    if rough:
        base |= {"thickness": float(rng.uniform(1.3, 3.0)), "rough": float(rng.uniform(0.2, 0.65)),
                 "broken": float(rng.uniform(0.05, 0.35))}  # fmt: skip
    if rng.random() < 0.35:
        base["consolidations"] = _consolidations(rng, 1 + int(rng.poisson(0.9)), (4, 11), (3, 9))
    if rng.random() < 0.06:  # atypical: resembles a bacterial pneumonia
        base["consolidations"] = _consolidations(rng, 1, (14, 30), (12, 30))
        base["bronchograms"] = float(rng.uniform(0, 8))
    if rng.random() < 0.10:
        base |= _fluid(rng, (3, 10))
    return Finding(**base)  # type: ignore[arg-type]


def _pneumonia(rng: np.random.Generator) -> Finding:
    """Bacterial: lobar consolidation with air bronchograms and effusion; other views nearly normal."""
    base = _base(rng)
    kind = rng.choice(4, p=[0.75, 0.23, 0.01, 0.01])
    if kind == 0:  # hepatization
        base["consolidations"] = _consolidations(rng, 1, (45, 85), (32, 70))
        base |= {"bronchograms": float(rng.uniform(3, 25)), "through_transmission": bool(rng.random() < 0.35)}
        if rng.random() < 0.5:
            base |= _fluid(rng, (4, 25))
    elif kind == 1:  # effusion with compressive atelectasis
        base["consolidations"] = _consolidations(rng, 1, (28, 60), (12, 35))
        base |= {"bronchograms": float(rng.uniform(0, 8)), "through_transmission": bool(rng.random() < 0.7)}
        base["deep_fluid"] = float(rng.uniform(0, 40)) if rng.random() < 0.6 else 0.0
        base |= _fluid(rng, (16, 60))
    elif kind == 2:  # a small consolidation
        base["consolidations"] = _consolidations(rng, 1 + int(rng.random() < 0.3), (6, 16), (6, 18))
        base["bronchograms"] = float(rng.uniform(0, 8))
    if kind < 3:  # posterior acoustic enhancement
        base["decay"] = 0.25 * float(base["decay"])  # type: ignore[arg-type]
    if kind < 3 and rng.random() < 0.45:
        base["b_lines"] = _b_lines(rng, int(rng.integers(1, 4)), strong=0.6, wide=0.25, spread=15)
    if kind == 3 and rng.random() < 0.5:  # focal interstitial syndrome alone
        base["b_lines"] = _b_lines(rng, int(rng.integers(2, 5)), strong=0.6, wide=0.25, spread=12)
    base |= {"echo": float(rng.normal(-37, 3)), "shred": float(rng.uniform(0.1, 0.4))}
    return Finding(**base)  # type: ignore[arg-type]


def _consolidations(
    rng: np.random.Generator, n: int, half_width: tuple[float, float], depth: tuple[float, float]
) -> tuple[Consolidation, ...]:
    """``n`` subpleural consolidations near the middle of the image."""
    return tuple(
        Consolidation(float(rng.normal(0, 11)), float(rng.uniform(*half_width)), float(rng.uniform(*depth)))
        for _ in range(n)
    )


def _fluid(rng: np.random.Generator, thickness: tuple[float, float]) -> dict[str, object]:
    """Pleural effusion, mostly anechoic."""
    return {
        "effusion": float(rng.uniform(*thickness)),
        "effusion_at": float(rng.normal(0, 14)),
        "effusion_width": float(rng.uniform(25, 75)),
        "debris": float(rng.choice([-52.0, -40.0, -32.0], p=[0.6, 0.25, 0.15])),
    }
