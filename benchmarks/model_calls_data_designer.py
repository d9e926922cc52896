"""W2 to W5 with NeMo Data Designer; runs in that library's own environment (see benchmarks/README.md).

Prints seconds and CPU seconds of `create`, imports apart, and how many records came out.
"""

import json
import sys
import tempfile
import time

import data_designer.config as dd
from data_designer.interface import DataDesigner


def main(url: str, records: int, calls: int) -> None:
    parameters = dd.ChatCompletionInferenceParams(max_parallel_requests=64, timeout=60)
    model = dd.ModelConfig(
        alias="writer", model="mock", provider="mock", inference_parameters=parameters
    )
    builder = dd.DataDesignerConfigBuilder(model_configs=[model])
    builder.add_column(
        dd.SamplerColumnConfig(
            name="id", sampler_type="uuid", params=dd.UUIDSamplerParams()
        )
    )
    builder.add_column(
        dd.LLMTextColumnConfig(
            name="ticket",
            model_alias="writer",
            prompt="Write a support ticket. Number {{ id }}.",
        )
    )
    if calls == 3:
        schema = {
            "type": "object",
            "properties": {
                "title": {"type": "string"},
                "severity": {"enum": ["low", "high"]},
                "tags": {"type": "array", "items": {"type": "string"}},
            },
            "required": ["title", "severity", "tags"],
        }
        builder.add_column(
            dd.LLMStructuredColumnConfig(
                name="summary",
                model_alias="writer",
                prompt="STRUCTURE the ticket {{ id }}: {{ ticket }}",
                output_format=schema,
            )
        )
        usefulness = dd.Score(
            name="usefulness",
            description="How useful the summary is.",
            options={1: "useless", 2: "fair", 3: "good"},
        )
        builder.add_column(
            dd.LLMJudgeColumnConfig(
                name="verdict",
                model_alias="writer",
                prompt="JUDGE the summary of {{ id }}: {{ summary.title }}",
                scores=[usefulness],
            )
        )
    provider = dd.ModelProvider(
        name="mock", endpoint=url, provider_type="openai", api_key="none"
    )
    with tempfile.TemporaryDirectory() as directory:
        designer = DataDesigner(artifact_path=directory, model_providers=[provider])
        began, cpu = time.perf_counter(), time.process_time()
        result = designer.create(builder, num_records=records)
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        made = len(result.load_dataset())
    print(json.dumps({"seconds": seconds, "cpu": cpu, "remaining": records - made}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
