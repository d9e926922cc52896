"""W1 as somebody in a hurry writes it: numpy, names from Faker's weighted lists, one parquet file per 100,000 rows.

No fingerprints, no resume, one random stream in order: the floor that a general engine is measured against.
"""

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from faker.providers.person.en_US import Provider

CHUNK = 100_000


def weighted(
    rng: np.random.Generator, table: dict[str, float], count: int
) -> np.ndarray:
    names = np.array(list(table))
    weights = np.array(list(table.values()), dtype=float)
    return names[
        np.searchsorted(
            np.cumsum(weights / weights.sum()), rng.random(count), side="right"
        ).clip(max=len(names) - 1)
    ]


def uuids(rng: np.random.Generator, count: int) -> list[str]:
    text = rng.bytes(16 * count).hex()
    return [
        f"{text[i : i + 8]}-{text[i + 8 : i + 12]}-4{text[i + 13 : i + 16]}-a{text[i + 17 : i + 20]}-{text[i + 20 : i + 32]}"
        for i in range(0, 32 * count, 32)
    ]


def chunk(rng: np.random.Generator, count: int) -> pa.Table:
    ids = uuids(rng, count)
    plan_code = rng.choice(3, count, p=[0.6, 0.3, 0.1])
    plan = np.array(["free", "pro", "team"])[plan_code]
    topics = np.array([["login", "upgrade"], ["billing", "export"], ["roles", "audit"]])
    topic = topics[plan_code, rng.integers(0, 2, count)]
    price = np.round(rng.uniform(1, 100, count), 2)
    opened = (
        (np.datetime64("2024-01-01", "s") + rng.integers(0, 731 * 86400, count))
        .astype("datetime64[s]")
        .astype(str)
    )
    female = rng.random(count) < 0.5
    first = np.where(
        female,
        weighted(rng, dict(Provider.first_names_female), count),
        weighted(rng, dict(Provider.first_names_male), count),
    )
    last = weighted(rng, dict(Provider.last_names), count)
    age = rng.integers(18, 115, count)
    birth = (
        np.datetime64("2026-01-01", "D") - age * 365 - rng.integers(0, 365, count)
    ).astype(str)
    domain = np.array(["example.com", "example.org", "example.net"])[
        rng.integers(0, 3, count)
    ]
    email = [
        f"{f}.{n}@{d}".lower() for f, n, d in zip(first, last, domain, strict=True)
    ]
    person = {
        "first_name": first, "last_name": last, "sex": np.where(female, "Female", "Male"), "age": age,
        "birth_date": birth, "email_address": email,
    }  # fmt: skip
    return pa.table(
        {
            "id": ids,
            "plan": plan,
            "topic": topic,
            "height": rng.normal(170, 10, count),
            "price": price,
            "opened": opened,
            "visits": rng.poisson(4, count),
            "customer": pa.StructArray.from_arrays(
                [pa.array(v) for v in person.values()], names=list(person)
            ),
            "title": [f"{p}: {t}" for p, t in zip(plan, topic, strict=True)],
            "label": [f"{i} at {p}" for i, p in zip(ids, price.tolist(), strict=True)],
            "greeting": [f"Dear {f} {n}" for f, n in zip(first, last, strict=True)],
        }
    )


def main(out: Path, records: int) -> None:
    out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    for number, start in enumerate(range(0, records, CHUNK)):
        pq.write_table(
            chunk(rng, min(CHUNK, records - start)), out / f"batch_{number:05d}.parquet"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
