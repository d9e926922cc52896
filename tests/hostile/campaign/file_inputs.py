"""Files that were changed by chance: datasets, odd values in them, and what `import` reads."""

import json
import random
from typing import Any

import yaml

from tests.hostile import corpus
from tests.hostile.campaign.commands import Case
from tests.hostile.campaign.drawn import (
    NUMBERS,
    ODD_TEXTS,
    VALID,
    YAML_PARTS,
    dumped,
    mutated_text,
)
from tests.hostile.corpus import pipeline

Draw = random.Random


def file_cases(draw: Draw) -> Case:
    source = draw.choice([VALID, VALID, VALID, draw.choice([*corpus.YAMLS.values()])])
    content: str | bytes = mutated_text(draw, source[:300_000], YAML_PARTS)
    name = "hostile.yaml"
    if draw.random() < 0.2:
        document = mutated_text(draw, json.dumps(yaml.safe_load(VALID)), YAML_PARTS)
        content, name = document, "hostile.json"
    elif draw.random() < 0.15:
        encoding = draw.choice(["utf-16", "utf-32", "latin-1", "utf-16-le", "cp500"])
        content = source.encode(encoding, "replace")
    return Case("files", "", content, file=name)


def value_cases(draw: Draw) -> Case:
    """A valid config with odd values in some places."""
    document = yaml.safe_load(
        draw.choice([VALID, VALID, pipeline(draw.choice(corpus.STAGES[4:]))])
    )
    for _ in range(draw.randint(1, 3)):
        node: Any = document
        while True:
            keys = list(node) if isinstance(node, dict) else range(len(node))
            key = draw.choice(list(keys)) if keys else None
            if (
                key is None
                or not isinstance(node[key], dict | list)
                or not node[key]
                or draw.random() < 0.2
            ):
                break
            node = node[key]
        value = draw.choice(
            [draw.choice(NUMBERS), draw.choice(ODD_TEXTS), [], {}, [[]], {"": None}]
        )
        if key is not None:
            node[key] = value
        if isinstance(node, dict) and draw.random() < 0.2:
            node[draw.choice(ODD_TEXTS)] = value
    return Case("values", "", dumped(document), files={"a.md": "some text"})


def import_cases(draw: Draw) -> Case:
    """Builder configs, notebooks and other files for `import`."""
    builder = {"data_designer": yaml.safe_load(VALID)}
    notebook = {
        "cells": [
            {"cell_type": "code", "source": ["import os\n", "os.system('touch PWNED')"]}
        ],
        "nbformat": 4,
    }
    source = json.dumps(
        draw.choice(
            [
                builder,
                builder,
                builder,
                notebook,
                {"data_designer": draw.choice(NUMBERS[:-1])},
                [],
            ]
        )
    )
    name = draw.choice(["b.json", "b.yaml", "b.ipynb", "b.py", "b"])
    content = mutated_text(
        draw,
        source,
        (
            *YAML_PARTS,
            '"data_designer": {"data_designer": ' * 300,
            "NaN",
            "1e999",
            *map(json.dumps, ODD_TEXTS),
        ),
    )
    return Case(
        "imports",
        "",
        content,
        file=name,
        commands=(
            "import {file}",
            "import {file} -o {dir}/out.yaml",
            "validate {dir}/out.yaml",
        ),
        files={"out.yaml": ""},
    )
