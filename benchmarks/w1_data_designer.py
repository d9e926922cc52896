"""W1 with NeMo Data Designer; runs in that library's own environment (see benchmarks/README.md)."""

import sys
import tempfile

import data_designer.config as dd
from data_designer.interface import DataDesigner


def main(records: int) -> None:
    builder = dd.DataDesignerConfigBuilder(model_configs=[])
    sampler = dd.SamplerColumnConfig
    builder.add_column(
        sampler(name="id", sampler_type="uuid", params=dd.UUIDSamplerParams())
    )
    plans = dd.CategorySamplerParams(values=["free", "pro", "team"], weights=[6, 3, 1])
    builder.add_column(sampler(name="plan", sampler_type="category", params=plans))
    topics = {
        "free": ["login", "upgrade"],
        "pro": ["billing", "export"],
        "team": ["roles", "audit"],
    }
    topic = dd.SubcategorySamplerParams(category="plan", values=topics)
    builder.add_column(sampler(name="topic", sampler_type="subcategory", params=topic))
    builder.add_column(
        sampler(
            name="height",
            sampler_type="gaussian",
            params=dd.GaussianSamplerParams(mean=170, stddev=10),
        )
    )
    price = dd.UniformSamplerParams(low=1, high=100, decimal_places=2)
    builder.add_column(sampler(name="price", sampler_type="uniform", params=price))
    opened = dd.DatetimeSamplerParams(start="2024-01-01", end="2026-01-01", unit="s")
    builder.add_column(sampler(name="opened", sampler_type="datetime", params=opened))
    builder.add_column(
        sampler(
            name="visits",
            sampler_type="poisson",
            params=dd.PoissonSamplerParams(mean=4),
        )
    )
    person = dd.PersonFromFakerSamplerParams(locale="en_US")
    builder.add_column(
        sampler(name="customer", sampler_type="person_from_faker", params=person)
    )
    builder.add_column(
        dd.ExpressionColumnConfig(name="title", expr="{{ plan }}: {{ topic }}")
    )
    builder.add_column(
        dd.ExpressionColumnConfig(name="label", expr="{{ id }} at {{ price }}")
    )
    greeting = "Dear {{ customer.first_name }} {{ customer.last_name }}"
    builder.add_column(dd.ExpressionColumnConfig(name="greeting", expr=greeting))
    with tempfile.TemporaryDirectory() as directory:
        DataDesigner(artifact_path=directory).create(builder, num_records=records)


if __name__ == "__main__":
    main(int(sys.argv[1]))
