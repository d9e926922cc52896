"""Samplers with extreme parameters, and odd dates."""

import random
from typing import Any

import yaml

from tests.hostile.campaign.commands import Case
from tests.hostile.campaign.drawn import NUMBERS, dumped
from tests.hostile.corpus import dataset, sampler

Draw = random.Random


DISTRIBUTIONS = (
    "norm",
    "zipf",
    "zipfian",
    "ksone",
    "kstwo",
    "kstwobign",
    "betanbinom",
    "betabinom",
    "logser",
    "hypergeom",
    "nchypergeom_fisher",
    "nchypergeom_wallenius",
    "nhypergeom",
    "poisson_binom",
    "skellam",
    "yulesimon",
    "studentized_range",
    "levy_stable",
    "genhyperbolic",
    "geninvgauss",
    "norminvgauss",
    "vonmises",
    "tukeylambda",
    "rel_breitwigner",
    "ncf",
    "nct",
    "ncx2",
    "rice",
    "crystalball",
    "argus",
    "gausshyper",
    "exponweib",
    "dlaplace",
    "planck",
    "randint",
    "boltzmann",
    "geom",
    "nbinom",
    "binom",
    "bernoulli",
    "recipinvgauss",
    "truncpareto",
    "beta",
    "trapezoid",
    "triang",
    "truncnorm",
    "truncexpon",
    "kappa4",
    "pearson3",
    "multivariate_normal",
    "rv_histogram",
)


PARAMETERS = (
    "loc",
    "scale",
    "a",
    "b",
    "c",
    "n",
    "p",
    "mu",
    "df",
    "dfn",
    "dfd",
    "nc",
    "M",
    "N",
    "k",
    "m",
    "s",
    "beta",
    "alpha",
    "lam",
    "r",
    "odds",
    "low",
    "high",
)


DATES = (
    "0000-01-01",
    "0001-01-01",
    "9999-12-31",
    "10000-01-01",
    "-0001-01-01",
    "1900-02-29",
    "2024-02-29",
    "2024-02-30",
    "2016-12-31T23:59:60Z",
    "2024-01-01T24:00:00",
    "2024-01-01T00:00:00+99:99",
    "2024-W01-1",
    "20240101",
    "2024-001",
    "now",
    "today",
    "1e9",
    "1700000000",
    "infinity",
    "NaT",
    "",
    " 2024-01-01 ",
    "２０２４-01-01",
    "1582-10-10",
    "2024-03-31T02:30:00 Europe/Berlin",
    "1970-01-01T00:00:00.0000000001Z",
    "9999-12-31T23:59:59.999999+14:00",
)

OWN_PARAMETERS = {
    "uniform": ("low", "high"),
    "gaussian": ("mean", "stddev"),
    "poisson": ("mean",),
    "binomial": ("n", "p"),
    "bernoulli": ("p",),
}


def sampler_cases(draw: Draw) -> Case:
    def extreme() -> Any:
        return draw.choice(NUMBERS)

    kind = draw.choice(
        ["scipy"] * 6
        + [
            "uniform",
            "gaussian",
            "poisson",
            "binomial",
            "bernoulli",
            "bernoulli_mixture",
            "category",
            "subcategory",
            "datetime",
            "datetime",
            "timedelta",
            "person",
            "uuid",
        ]
    )
    match kind:
        case "scipy" | "bernoulli_mixture":
            names = draw.sample(PARAMETERS, draw.randint(0, 4))
            params = {
                "dist_name": draw.choice(DISTRIBUTIONS),
                "dist_params": {name: extreme() for name in names},
            }
            params |= {"p": 0.5} if kind == "bernoulli_mixture" else {}
        case "datetime":
            params = {
                "start": draw.choice(DATES),
                "end": draw.choice(DATES),
                "unit": draw.choice("YMDhms"),
            }
        case "timedelta":
            params = {
                "dt_min": extreme(),
                "dt_max": extreme(),
                "unit": draw.choice("Dhms"),
                "reference_column_name": "plan",
            }
        case "category":
            params = {
                "values": [extreme() for _ in range(3)],
                "weights": draw.choice([None, [extreme() for _ in range(3)]]),
            }
        case "subcategory":
            params = {
                "category": "plan",
                "values": {"a": [extreme()], "b": draw.choice([[], [extreme()]])},
            }
        case "person":
            params = {
                "locale": draw.choice(["en_US", "xx", "../x", "ar_EG"]),
                "age_range": [extreme(), extreme()],
            }
        case _:
            names = draw.sample(
                [
                    "low",
                    "high",
                    "mean",
                    "stddev",
                    "n",
                    "p",
                    "decimal_places",
                    "prefix",
                    "short_form",
                ],
                3,
            )
            own = OWN_PARAMETERS.get(kind, ())
            params = {name: extreme() for name in dict.fromkeys((*names, *own))}
    column = sampler("s", kind, **params)
    if draw.random() < 0.3:
        column["convert_to"] = draw.choice(
            ["int", "str", "float", "%Y", "%999999d", "x"]
        )
    constraint = [
        {
            "constraint_type": "scalar_inequality",
            "target_column": "s",
            "operator": draw.choice(["lt", "ge"]),
            "rhs": extreme(),
        }
    ]
    config = yaml.safe_load(dataset(column))
    if draw.random() < 0.3:
        config["constraints"] = constraint
    return Case(
        "samplers and dates",
        "",
        dumped(config),
        commands=("validate {file}", "preview {file} -n 3", "generate {file}"),
    )
